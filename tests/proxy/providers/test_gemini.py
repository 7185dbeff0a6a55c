"""The kind "gemini" against its golden files: what goes out, what comes back, whole and streamed, cut anywhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy import chat as chats
from proxy import sse
from proxy.chat import Chat
from proxy.errors import BadRequest, StreamCut, UpstreamError
from proxy.providers.base import Adapter
from proxy.providers.gemini import Gemini
from routing.values import Provider, Target

GOLDEN = Path(__file__).parents[2] / "golden" / "gemini"
BASE = "https://generativelanguage.googleapis.com"
PROVIDER = Provider("google", "gemini", BASE, secret="AIza-canary")
HELLO = {"model": "asked", "messages": [{"role": "user", "content": "x"}]}


def cases(folder: str, ending: str) -> list[str]:
    names = [path.name.removesuffix(ending) for path in (GOLDEN / folder).glob(f"*{ending}")]
    return sorted(name for name in names if not name.endswith(".expected"))


def golden(folder: str, name: str) -> Any:
    return orjson.loads((GOLDEN / folder / name).read_bytes())


def marks() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"mark{number}"


def adapter() -> Gemini:
    return Gemini(marks().__next__, lambda: 1_800_000_000.7)


def chat(**fields: Any) -> Chat:
    return chats.parse(orjson.dumps(HELLO | fields))


def sent(case: dict[str, Any]) -> dict[str, Any]:
    try:
        out = adapter().request(chats.parse(orjson.dumps(case["chat"])), Target("asked", PROVIDER, case["model"]))
    except BadRequest as no:
        return {"refused": {"param": no.param, "code": no.code, "message": no.message}}
    assert ("x-goog-api-key", "AIza-canary") in out.headers
    return {"url": out.url.removeprefix(BASE), "ignored": list(out.ignored), "body": orjson.loads(out.body)}


def told(case: dict[str, Any]) -> dict[str, Any]:
    gemini = adapter()
    usage = gemini.usage(case["body"])
    result: dict[str, Any] = {"usage": usage.as_dict() if usage else None}
    try:
        result["completion"] = gemini.reply(case["body"], chat(**case.get("chat", {})))
    except UpstreamError as error:
        result["error"] = {
            "status": error.status,
            "code": error.code,
            "try_next": error.try_next,
            "message": error.message,
        }
    return result


def events(pieces: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Cut a stream into events, however its bytes arrive. An error may stand in it as bare JSON."""
    splitter = sse.Splitter()
    blocks = [splitter.feed(piece) for piece in pieces]
    blocks.append(splitter.rest + b"\n\n" if splitter.rest.strip() else b"")
    for event in (event for block in blocks for event in sse.events(block)):
        data = sse.data_of(event)
        if data is None and event.lstrip()[:1] in (b"{", b"["):
            data = event
        if data is not None:
            yield sse.name_of(event), data


def played(arrived: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    stream, chunks, cut = adapter().stream(chat(stream=True)), [], None
    try:
        for name, data in arrived:
            chunks += stream.feed(name, data)
        chunks += stream.finish()
    except StreamCut as error:
        cut = {"status": error.status, "code": error.code, "message": error.message}
        cut |= {"retry_after": error.retry_after} if error.retry_after else {}
    shape = {name: chunks[0][name] for name in ("id", "created", "model")} if chunks else None
    for chunk in chunks:
        assert chunk == {**(shape or {}), "object": "chat.completion.chunk", "choices": [chunk["choices"][0]]}
        assert chunk["choices"][0].keys() == {"index", "delta", "logprobs", "finish_reason"}
    choices = [{name: said for name, said in chunk["choices"][0].items() if said is not None} for chunk in chunks]
    used, so_far = (usage.as_dict() if usage else None for usage in (stream.usage, stream.so_far))
    return {"shape": shape, "choices": choices, "usage": used, "so_far": so_far, "cut": cut, "ended": stream.ended}


@pytest.mark.parametrize("name", cases("request", ".json"))
def test_it_says_a_chat_in_geminis_words(name: str) -> None:
    assert sent(golden("request", f"{name}.json")) == golden("request", f"{name}.expected.json")


@pytest.mark.parametrize("name", cases("reply", ".json"))
def test_it_says_an_answer_in_openais_words(name: str) -> None:
    assert told(golden("reply", f"{name}.json")) == golden("reply", f"{name}.expected.json")


@pytest.mark.parametrize("name", cases("stream", ".sse"))
def test_it_translates_a_stream(name: str) -> None:
    raw = (GOLDEN / "stream" / f"{name}.sse").read_bytes()
    assert played(list(events([raw]))) == golden("stream", f"{name}.expected.json")


@pytest.mark.parametrize("name", cases("stream", ".sse"))
def test_it_does_not_matter_where_a_stream_is_cut(name: str) -> None:
    raw = (GOLDEN / "stream" / f"{name}.sse").read_bytes()
    expected, whole = golden("stream", f"{name}.expected.json"), list(events([raw]))
    assert played(list(events([raw[place : place + 1] for place in range(len(raw))]))) == expected
    for place in range(len(raw)):
        arrived = list(events([raw[:place], raw[place:]]))
        assert arrived == whole or played(arrived) == expected


@pytest.mark.parametrize("name", cases("stream", ".sse"))
def test_it_never_takes_a_part_of_a_stream_for_the_whole(name: str) -> None:
    """Bytes lost at the end: the same chunks as far as they go, and a cut unless nothing but usage is missing."""
    raw = (GOLDEN / "stream" / f"{name}.sse").read_bytes()
    expected = golden("stream", f"{name}.expected.json")
    for place in range(0, len(raw), 7):
        part = played(list(events([raw[:place]])))
        said = part["choices"] if part["cut"] else part["choices"][: -len({each["index"] for each in part["choices"]})]
        assert said == expected["choices"][: len(said)]
        assert part["cut"] or b'"finishReason"' in raw[:place] or b'"blockReason"' in raw[:place]


def test_there_are_enough_golden_files() -> None:
    counts = [len(cases(folder, ending)) for folder, ending in (("request", ".json"), ("reply", ".json"))]
    assert [*counts, len(cases("stream", ".sse"))] >= [40, 40, 30]


def test_it_is_an_adapter() -> None:
    checked: Adapter = Gemini()
    assert checked.dialect == "gemini"
    assert len({Gemini()._call_id() for _ in range(100)}) == 100
    assert len(Gemini()._call_id()) == 29


def test_it_gives_back_names_it_had_to_change_in_a_stream_too() -> None:
    stream = adapter().stream(chat(tools=[{"type": "function", "function": {"name": "see it"}}]))
    body = {"candidates": [{"content": {"parts": [{"functionCall": {"name": "see_it"}}]}, "finishReason": "STOP"}]}
    [chunk] = stream.feed(b"", orjson.dumps(body))
    assert chunk["choices"][0]["delta"]["tool_calls"][0]["function"]["name"] == "see it"


def test_it_streams_one_call_to_who_speaks_of_functions() -> None:
    stream = adapter().stream(chat(functions=[{"name": "see it"}]))
    parts = [{"functionCall": {"name": "see_it", "args": {"n": number}}} for number in range(2)]
    body = {"candidates": [{"content": {"parts": parts}}]}
    [chunk] = stream.feed(b"", orjson.dumps(body))
    called = {"name": "see it", "arguments": '{"n":0}'}
    assert chunk["choices"][0]["delta"] == {"role": "assistant", "content": None, "function_call": called}
    body = {"candidates": [{"content": {"parts": parts[:1]}, "finishReason": "STOP"}]}
    assert stream.feed(b"", orjson.dumps(body)) == []
    [last] = stream.finish()
    assert last["choices"][0]["finish_reason"] == "function_call"


def test_it_cites_pages_at_the_end_of_a_stream_for_who_asked_for_a_search() -> None:
    support = {"segment": {"text": "is cold"}, "groundingChunkIndices": [0]}
    told = {"groundingChunks": [{"web": {"uri": "https://x.example", "title": "x"}}], "groundingSupports": [support]}
    bodies = [
        {"candidates": [{"content": {"parts": [{"text": "Oslo i"}]}}]},
        {
            "candidates": [
                {"content": {"parts": [{"text": "s cold"}]}, "groundingMetadata": told, "finishReason": "STOP"}
            ]
        },
    ]
    for options, wanted in (({"web_search_options": {}}, True), ({}, False)):
        stream = adapter().stream(chat(**options))
        for body in bodies:
            stream.feed(b"", orjson.dumps(body))
        [last] = stream.finish()
        cited = {"start_index": 5, "end_index": 12, "url": "https://x.example", "title": "x"}
        annotations = {"annotations": [{"type": "url_citation", "url_citation": cited}]} if wanted else {}
        assert last["choices"][0]["delta"] == annotations
