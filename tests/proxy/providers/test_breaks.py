"""Errors inside a stream in OpenAI's dialect: what is told of them is what the provider said, in the caller's shape."""

from typing import Any

import pytest

from proxy.dialects.messages import Messages
from proxy.providers.breaks import reported


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (
            {"message": "No.", "type": "invalid_request_error", "code": "tool_use_failed", "param": "tools"},
            400,
            {"message": "No.", "type": "invalid_request_error", "code": "tool_use_failed", "param": "tools"},
        ),
        (
            {"message": "Slow.", "type": "rate_limit_error", "code": None},
            429,
            {"message": "Slow.", "type": "rate_limit_error", "code": "stream_interrupted", "param": None},
        ),
        (
            {"message": "Busy.", "type": "overloaded_error"},
            503,
            {"message": "Busy.", "type": "overloaded_error", "code": "stream_interrupted", "param": None},
        ),
        (
            {"message": "Odd.", "type": ["x"], "code": "", "param": 5},
            502,
            {"message": "Odd.", "type": "server_error", "code": "stream_interrupted", "param": None},
        ),
    ],
)
def test_an_error_keeps_its_type_and_its_parameter(error: dict[str, Any], status: int, told: dict[str, Any]) -> None:
    cut = reported(b"", {"error": error})
    assert cut is not None
    assert (cut.status, cut.body()["error"]) == (status, told)


def test_a_caller_of_anthropics_dialect_hears_a_type_of_its_own() -> None:
    cut = reported(b"error", {"error": {"message": "No.", "type": "invalid_request_error", "code": "tool_use_failed"}})
    assert cut is not None
    told = Messages().error(cut, "req")
    assert told["error"] == {"type": "invalid_request_error", "message": "No."}
