"""Native streams of Gemini's, read while they pass, cut anywhere, against the golden files of the kind."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy import sse
from proxy.dialects.base import Watcher
from proxy.dialects.gemini.watch import GeminiWatcher

GOLDEN = Path(__file__).parents[2] / "golden" / "gemini" / "stream"
STREAMS = sorted(path.stem for path in GOLDEN.glob("*.sse"))
# Gemini's own callers see for themselves that the model has failed: to them, such an answer is whole.
FAILED = {"malformed-call", "malformed-call-after-thoughts"}


def result(watcher: GeminiWatcher) -> dict[str, Any]:
    usage, so_far, error = watcher.usage, watcher.so_far, watcher.error
    return {
        "usage": usage.as_dict() if usage else None,
        "so_far": so_far.as_dict() if so_far else None,
        "complete": watcher.complete(),
        "error": error and {"status": error.status, "code": error.code},
        "ended": watcher.ended,
    }


def blocks(pieces: list[bytes]) -> tuple[bytes, ...]:
    """Cut a stream where events end, however its bytes arrive."""
    splitter = sse.Splitter()
    whole = [splitter.feed(piece) for piece in pieces]
    whole.append(splitter.rest + b"\n\n" if splitter.rest.strip() else b"")
    return tuple(block for block in whole if block)


def watched(arrived: tuple[bytes, ...]) -> dict[str, Any]:
    """Watch as the core does: only blocks that look interesting are read, and nothing after an error."""
    watcher = GeminiWatcher()
    for block in arrived:
        if watcher.error is None and watcher.interesting(block):
            for event in sse.events(block):
                if (data := sse.data_of(event)) is not None and watcher.error is None:
                    watcher.feed(sse.name_of(event), data)
    return result(watcher)


def expected(name: str) -> dict[str, Any]:
    golden = orjson.loads((GOLDEN / f"{name}.expected.json").read_bytes())
    cut, usage = golden["cut"], golden["usage"]
    if name in FAILED:
        cut = None
    reported = name.startswith("error")
    return {
        "usage": usage,
        "so_far": golden["so_far"],
        "complete": cut is None,
        "error": {"status": cut["status"], "code": cut["code"]} if reported else None,
        "ended": False,
    }


@pytest.mark.parametrize("name", STREAMS)
def test_it_reads_a_stream_that_passes(name: str) -> None:
    assert watched(blocks([(GOLDEN / f"{name}.sse").read_bytes()])) == expected(name)


@pytest.mark.parametrize("name", STREAMS)
def test_it_does_not_matter_where_a_stream_is_cut(name: str) -> None:
    raw = (GOLDEN / f"{name}.sse").read_bytes()
    ways = {blocks([raw[:place], raw[place:]]) for place in range(len(raw))}
    ways.add(blocks([raw[place : place + 1] for place in range(len(raw))]))
    assert all(watched(arrived) == expected(name) for arrived in ways)


def test_it_lets_most_blocks_pass_unread() -> None:
    watcher: Watcher = GeminiWatcher()
    quiet = (
        b'data: {"candidates":[{"content":{"parts":[{"text":"\\"finishReason\\" \\"error\\":{"}]},"index":0}]}\r\n\r\n'
    )
    assert not watcher.interesting(quiet)
    assert not watcher.complete()
