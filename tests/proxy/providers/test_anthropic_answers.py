"""Anthropic's answers and streams as OpenAI's: the files in tests/golden/anthropic, and every stream cut anywhere."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from accounts.prices import Usage
from proxy import sse
from proxy.chat import Chat
from proxy.dialects.messages import Messages
from proxy.errors import StreamCut, UpstreamError
from proxy.providers.anthropic import Anthropic
from proxy.providers.anthropic.stream import Translator
from proxy.providers.openai import parse_usage

GOLDEN = Path(__file__).parents[2] / "golden" / "anthropic"
REPLIES = sorted(path for path in (GOLDEN / "reply").glob("*.json") if not path.name.endswith(".expected.json"))
STREAMS = sorted((GOLDEN / "stream").glob("*.sse"))
ANTHROPIC = Anthropic(clock=lambda: 1_700_000_000.5, random_id=lambda: "chatcmpl-made")


def chat(**body: Any) -> Chat:
    return Chat(b"", {"model": "m", "messages": [{"role": "user", "content": "hi"}]} | body, "m", False, False)


def expected(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.with_suffix(".expected.json").read_text())
    return found


def counted(usage: Usage | None) -> dict[str, int] | None:
    return None if usage is None else usage.as_dict()


def test_there_are_enough_of_them() -> None:
    assert len(REPLIES) >= 40
    assert len(STREAMS) >= 30


@pytest.mark.parametrize("path", REPLIES, ids=lambda path: path.stem)
def test_it_answers_as_expected(path: Path) -> None:
    given, wanted = json.loads(path.read_text()), expected(path)
    asked = chat(**given.get("chat", {}))
    try:
        got = {"completion": ANTHROPIC.reply(given["body"], asked), "usage": counted(ANTHROPIC.usage(given["body"]))}
    except UpstreamError as error:
        got = {"error": {"code": error.code, "status": error.status, "billable": error.billable}}
    assert got == wanted


@pytest.mark.parametrize("path", REPLIES, ids=lambda path: path.stem)
def test_openais_usage_says_the_same(path: Path) -> None:
    wanted = expected(path)
    shown = wanted.get("completion", {}).get("usage")
    usage = dict(wanted.get("usage") or {})
    if long := usage.pop("cache_write_1h", 0):  # OpenAI knows one time of keeping
        usage["cache_write"] += long
    assert (counted(parse_usage(shown) if shown else None) or {}) == usage


def events(pieces: list[bytes]) -> list[tuple[bytes, bytes]]:
    """What a stream's pieces amount to, read as the gateway reads them."""
    splitter, found = sse.Splitter(), []
    blocks = [splitter.feed(piece) for piece in pieces]
    blocks.append(splitter.rest + b"\n\n")
    for block in blocks:
        for event in sse.events(block):
            data = sse.data_of(event)
            if data is not None:
                found.append((sse.name_of(event), data))
    return found


def told(translator: Translator, pieces: list[bytes]) -> dict[str, Any]:
    """What a translator makes of a stream, in the form of the expected files."""
    chunks, error = [], None
    try:
        for name, data in events(pieces):
            chunks += translator.feed(name, data)
        chunks += translator.finish()
    except StreamCut as cut:
        assert "canary" not in cut.message
        error = {"code": cut.code, "status": cut.status}
    for chunk in chunks:
        assert {name: chunk[name] for name in ("object", "created")} == {
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
        }
        assert (chunk["id"], chunk["model"]) == (chunks[0]["id"], chunks[0]["model"])
        assert [choice["index"] for choice in chunk["choices"]] == [0]
    return {
        "deltas": [[chunk["choices"][0]["delta"], chunk["choices"][0]["finish_reason"]] for chunk in chunks],
        "usage": counted(translator.usage),
        "ended": translator.ended,
        "error": error,
    } | ({"id": chunks[0]["id"], "model": chunks[0]["model"]} if chunks else {})


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_it_streams_as_expected(path: Path) -> None:
    raw, wanted = path.read_bytes(), expected(path)
    asked = chat(**wanted.pop("chat", {}))
    so_far = wanted.pop("so_far", None)
    translator = ANTHROPIC.stream(asked)
    got = told(translator, [raw])
    assert got == {name: value for name, value in wanted.items() if name in got}
    if so_far is not None:
        assert counted(translator.so_far) == so_far
    assert told(ANTHROPIC.stream(asked), [raw[at : at + 1] for at in range(len(raw))]) == got


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_a_stream_may_be_cut_at_any_byte(path: Path) -> None:
    raw = path.read_bytes()
    whole = events([raw])
    for at in range(len(raw) + 1):
        assert events([raw[:at], raw[at:]]) == whole, at


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_a_watcher_of_the_untouched_stream_sees_the_same(path: Path) -> None:
    wanted = expected(path)
    watcher = Messages().watcher()
    for name, data in events([path.read_bytes()]):
        event = b"event: " + name + b"\ndata: " + data + b"\n\n"
        if watcher.interesting(event):
            watcher.feed(name, data)
        if watcher.error is not None:
            break
    assert counted(watcher.usage) == wanted["usage"]
    assert watcher.ended == wanted["ended"]
    if watcher.error is not None:
        assert {"code": watcher.error.code, "status": watcher.error.status} == wanted["error"]
    else:
        assert watcher.complete() == (wanted["error"] is None)


def test_clients_that_add_up_deltas_can_add_up_ours() -> None:
    """OpenAI's own helper joins lists by their members' `index`, and fails where one without comes twice."""
    from openai.lib.streaming._deltas import accumulate_delta

    for path in STREAMS:
        whole: dict[object, object] = {}
        for delta, _ in expected(path)["deltas"]:
            whole = accumulate_delta(whole, orjson.loads(orjson.dumps(delta)))
