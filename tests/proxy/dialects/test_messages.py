"""Callers who speak Anthropic's dialect: the files in tests/golden/messages beside what is expected of them."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from accounts.prices import Usage
from proxy import sse
from proxy.dialects.base import Asked
from proxy.dialects.messages import Messages
from proxy.errors import BadRequest, GatewayError, ModelNotFound, StreamCut, UpstreamError

GOLDEN = Path(__file__).parents[2] / "golden" / "messages"
MESSAGES = Messages()
COST = "0.000123000"


def cases(kind: str) -> list[Path]:
    return sorted(path for path in (GOLDEN / kind).glob("*.json") if not path.name.endswith(".expected.json"))


def test_there_are_enough_of_them() -> None:
    assert len(cases("request")) >= 25
    assert len(cases("reply")) >= 20
    assert len(cases("stream")) >= 20


def asking(**more: Any) -> Asked:
    body = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]} | more
    return MESSAGES.parse(orjson.dumps(body))


def translated(raw: bytes) -> dict[str, Any]:
    try:
        asked = MESSAGES.parse(raw)
        return {"chat": MESSAGES.chat(asked), "ignored": list(MESSAGES.ignored(asked))}
    except BadRequest as error:
        assert error.param is not None and error.param in error.message
        return {"refused": {"param": error.param, "code": error.code}}


@pytest.mark.parametrize("path", cases("request"), ids=lambda path: path.stem)
def test_it_asks_for_what_is_expected(path: Path) -> None:
    assert translated(path.read_bytes()) == json.loads(path.with_suffix(".expected.json").read_text())


@pytest.mark.parametrize("path", cases("reply"), ids=lambda path: path.stem)
def test_it_answers_as_expected(path: Path) -> None:
    given = json.loads(path.read_text())
    message = MESSAGES.reply(given["completion"], asking(**given.get("asked", {})))
    assert message == json.loads(path.with_suffix(".expected.json").read_text())


def streamed(given: dict[str, Any]) -> bytes:
    """All events for the chunks in `given`, with the cost where the gateway puts it."""
    encoder, out = MESSAGES.encoder(asking(stream=True)), b""
    try:
        for chunk in given["chunks"]:
            out += encoder.feed(chunk)
        if "error" in given:
            raise StreamCut(given["error"]["message"])
    except StreamCut as cut:
        return out + encoder.error(cut)
    before, after = encoder.end(None if given["usage"] is None else Usage(**given["usage"]), COST)
    return out + before + sse.comment(f"x-request-cost={COST}") + after


@pytest.mark.parametrize("path", cases("stream"), ids=lambda path: path.stem)
def test_it_streams_as_expected(path: Path) -> None:
    assert streamed(json.loads(path.read_text())) == path.with_suffix(".expected.sse").read_bytes()


@pytest.mark.parametrize("path", cases("stream"), ids=lambda path: path.stem)
def test_blocks_open_and_close_one_after_the_other(path: Path) -> None:
    opened: list[int] = []
    current = None
    for event in sse.events(path.with_suffix(".expected.sse").read_bytes()):
        data = sse.data_of(event)
        if data is None:
            continue
        body = orjson.loads(data)
        assert sse.name_of(event).decode() == body["type"]
        if body["type"] == "content_block_start":
            assert current is None
            current = body["index"]
            opened.append(current)
        elif body["type"].startswith("content_block"):
            assert body["index"] == current
            current = None if body["type"] == "content_block_stop" else current
        elif body["type"] == "message_delta":
            assert current is None
    assert opened == list(range(len(opened)))


@pytest.mark.parametrize("path", cases("stream"), ids=lambda path: path.stem)
def test_the_watcher_reads_what_the_encoder_writes(path: Path) -> None:
    given = json.loads(path.read_text())
    watcher = MESSAGES.watcher()
    for event in sse.events(path.with_suffix(".expected.sse").read_bytes()):
        if (data := sse.data_of(event)) is not None and watcher.interesting(event):
            watcher.feed(sse.name_of(event), data)
    assert watcher.complete() == (watcher.error is None) == watcher.ended
    if watcher.ended and given["usage"] is not None:
        assert watcher.usage == Usage(**given["usage"])


def test_it_counts_tokens_without_a_length() -> None:
    raw = b'{"model": "m", "system": "Be brief.", "messages": [{"role": "user", "content": "hi"}], "stream": true}'
    asked = MESSAGES.parse(raw, operation="count_tokens")
    assert (asked.operation, asked.model, asked.stream, asked.raw) == ("count_tokens", "m", False, raw)
    assert [message["role"] for message in MESSAGES.chat(asked)["messages"]] == ["system", "user"]


def test_it_reads_the_usage_of_a_message() -> None:
    usage = {"input_tokens": 3, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 40, "output_tokens": 9}
    assert MESSAGES.usage({"usage": usage}) == Usage(input=3, cached_input=100, cache_write=40, output=9)
    assert MESSAGES.usage({"input_tokens": 12}) is None


@pytest.mark.parametrize(
    ("error", "type"),
    [
        (BadRequest("x"), "invalid_request_error"),
        (GatewayError("x", status=401), "authentication_error"),
        (GatewayError("x", status=403), "permission_error"),
        (ModelNotFound("x"), "not_found_error"),
        (GatewayError("x", status=413), "request_too_large"),
        (GatewayError("x", status=422), "invalid_request_error"),
        (GatewayError("x", status=429), "rate_limit_error"),
        (GatewayError("x", status=429, code="insufficient_quota"), "billing_error"),
        (GatewayError("x"), "api_error"),
        (UpstreamError("x"), "api_error"),
        (GatewayError("x", status=503), "overloaded_error"),
        (GatewayError("x", status=504), "timeout_error"),
    ],
)
def test_errors_have_its_shape(error: GatewayError, type: str) -> None:
    assert MESSAGES.error(error, "id-1") == {
        "type": "error",
        "error": {"type": type, "message": error.message},
        "request_id": "id-1",
    }
