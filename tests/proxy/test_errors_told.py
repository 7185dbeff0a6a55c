"""A provider's trouble in the words of each surface: the same meaning whichever kind had it and whoever asks."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy import serving
from proxy.dialects.base import Dialect
from proxy.dialects.gemini import GeminiCaller
from proxy.dialects.messages import Messages
from proxy.dialects.openai_chat import OpenAIChat
from proxy.dialects.responses import Responses
from proxy.errors import GatewayError
from proxy.upstream import Upstream
from routing.values import Provider
from tests.proxy.harness import TIMEOUTS, bench, route
from tests.proxy.providers.passing import Scripted

INVALID, LIMIT, SERVER = "invalid_request_error", "rate_limit_error", "server_error"
# What happened: status, type and code for OpenAI's callers; Anthropic's type; Google's status.
MEANT: dict[str, tuple[int, str, str | None, str, str]] = {
    "fault": (400, INVALID, None, INVALID, "INVALID_ARGUMENT"),
    "too long": (400, INVALID, "context_length_exceeded", INVALID, "INVALID_ARGUMENT"),
    "our key": (502, SERVER, "upstream_auth_error", "api_error", "UNAVAILABLE"),
    "no credit": (429, "insufficient_quota", "insufficient_quota", "billing_error", "RESOURCE_EXHAUSTED"),
    "no model": (404, INVALID, "model_not_found", "not_found_error", "NOT_FOUND"),
    "too large": (413, INVALID, "request_too_large", "request_too_large", "INVALID_ARGUMENT"),
    "too fast": (429, LIMIT, "upstream_rate_limited", "rate_limit_error", "RESOURCE_EXHAUSTED"),
    "broken": (502, SERVER, "upstream_error", "api_error", "UNAVAILABLE"),
    "overloaded": (503, SERVER, "upstream_error", "overloaded_error", "UNAVAILABLE"),
    "late": (504, SERVER, "upstream_timeout", "timeout_error", "DEADLINE_EXCEEDED"),
}
LONG = "prompt is too long: 9 tokens exceeds the maximum number of tokens"


def openai(message: str, type: str = INVALID, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": type, "param": None, "code": code}}


def anthropic(type: str, message: str = "no") -> dict[str, Any]:
    return {"type": "error", "error": {"type": type, "message": message}, "request_id": "req_1"}


def gemini(code: int, status: str, message: str = "no", **detail: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": [detail] if detail else []}}


SAID: dict[str, dict[str, tuple[int, dict[str, Any]]]] = {
    "openai": {
        "fault": (400, openai("no")),
        "too long": (400, openai(LONG, code="context_length_exceeded")),
        "our key": (401, openai("Incorrect API key", code="invalid_api_key")),
        "no credit": (429, openai("no", "insufficient_quota", "insufficient_quota")),
        "no model": (404, openai("no", code="model_not_found")),
        "too large": (413, {}),
        "too fast": (429, openai("no", "requests", "rate_limit_exceeded")),
        "broken": (500, openai("no", SERVER)),
        "overloaded": (503, openai("no", SERVER, "slow_down")),
        "late": (504, {}),
    },
    "anthropic": {
        "fault": (400, anthropic(INVALID)),
        "too long": (400, anthropic(INVALID, LONG)),
        "our key": (401, anthropic("authentication_error")),
        "no credit": (402, anthropic("billing_error")),
        "no model": (404, anthropic("not_found_error")),
        "too large": (413, anthropic("request_too_large")),
        "too fast": (429, anthropic("rate_limit_error")),
        "broken": (500, anthropic("api_error")),
        "overloaded": (529, anthropic("overloaded_error")),
        "late": (504, anthropic("timeout_error")),
    },
    "gemini": {
        "fault": (400, gemini(400, "INVALID_ARGUMENT")),
        "too long": (400, gemini(400, "INVALID_ARGUMENT", LONG)),
        "our key": (400, gemini(400, "INVALID_ARGUMENT", "API key not valid.", reason="API_KEY_INVALID")),
        "no model": (404, gemini(404, "NOT_FOUND")),
        "too large": (413, {}),
        "too fast": (429, gemini(429, "RESOURCE_EXHAUSTED", retryDelay="7s")),
        "broken": (500, gemini(500, "INTERNAL")),
        "overloaded": (503, gemini(503, "UNAVAILABLE")),
        "late": (504, gemini(504, "DEADLINE_EXCEEDED")),
    },
}
SAID["openai-compatible"] = SAID["openai"] | {"no credit": (402, {"error": {"message": "no", "code": 402}})}
SAID["azure-openai"] = SAID["openai"]
SAID["groq"] = SAID["openai"] | {"overloaded": (498, openai("no", "capacity_exceeded"))}
CASES = [(kind, what) for kind, told in SAID.items() for what in told]
HELLO: Any = [{"role": "user", "content": "Hi"}]
ASKS: dict[str, tuple[Dialect | None, dict[str, Any]]] = {
    "chat": (None, {"messages": HELLO}),
    "responses": (Responses(), {"input": "Hi"}),
    "messages": (Messages(), {"messages": HELLO, "max_tokens": 9}),
    "gemini": (GeminiCaller(), {"contents": [{"parts": [{"text": "Hi"}]}]}),
}


async def failed(folder: Path, surface: str, kind: str, status: int, body: Any, *, stream: bool) -> GatewayError:
    dialect, ask = ASKS[surface]
    url: dict[str, Any] = {"model": "m", "stream": stream} if surface == "gemini" else {}
    raw = orjson.dumps(ask | ({} if url else {"model": "m", "stream": stream}))
    place = Provider("up", kind, "https://up.example/v1", secret="sk-canary")
    provider = Scripted(status, {"retry-after": "7"} if status == 429 else {}, [orjson.dumps(body)])
    async with bench(folder, [route("m", (place, "up"))]) as gw:
        gw.gateway.upstream = Upstream(TIMEOUTS, max_response_bytes=10**6, transports={kind: provider})
        with pytest.raises(GatewayError) as caught:
            await serving.serve(gw.gateway, gw.receive(size=len(raw), dialect=dialect), raw, **url)
        assert (await gw.row()).status == "failed"
        return caught.value


@pytest.mark.parametrize("surface", ASKS)
@pytest.mark.parametrize(("kind", "what"), CASES, ids=[f"{kind}-{what.replace(' ', '-')}" for kind, what in CASES])
def test_trouble_means_the_same_everywhere(tmp_path: Path, kind: str, what: str, surface: str) -> None:
    status, type, code, theirs, googles = MEANT[what]
    for place, stream in enumerate((False, True)):
        error = asyncio.run(failed(tmp_path / str(place), surface, kind, *SAID[kind][what], stream=stream))
        assert (error.status, error.type, error.code) == (status, type, code)
        assert OpenAIChat().error(error, "id")["error"]["code"] == code
        told = Messages().error(error, "id")
        assert (told["type"], told["error"]["type"], told["request_id"]) == ("error", theirs, "id")
        assert GeminiCaller().error(error, "id")["error"]["status"] == googles
        assert error.retry_after == (
            None if status not in (429, 503) or what == "no credit" else 7 if status == 429 else 1
        )
        assert "canary" not in error.message
