"""Over real sockets on both sides: what OpenAI's dialect allows goes out and comes back byte for byte."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadtest.mockserver import Answer
from proxy import sse
from tests.gateway.stand import Stand
from tests.proxy import chats

many = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
WISH = b',"stream_options":{"include_usage":true}'
blanks = st.sampled_from(["", " ", "\n  ", "\t", "\r\n"])
kept = st.frozensets(st.sampled_from(chats.names()), max_size=5)
reasons = st.sampled_from(["stop", "length", "tool_calls", "content_filter", "odd"])
words = st.fixed_dictionaries(
    {"content": chats.texts | st.none()}, optional={"refusal": chats.texts, "odd": chats.anything}
)
choice = st.fixed_dictionaries({"index": st.integers(0, 3), "message": words, "finish_reason": reasons})
extra = st.dictionaries(chats.texts, chats.anything, max_size=3).map(
    lambda found: {name: value for name, value in found.items() if name not in {"usage", "choices", "error", "model"}}
)


@st.composite
def spelled(draw: st.DrawFn, body: dict[str, Any]) -> tuple[bytes, bytes]:
    """A request as some encoder might write it, with each of the two names of its model."""
    gap, ascii = draw(blanks), draw(st.booleans())
    order = draw(st.permutations(sorted(body)))

    def written(model: str) -> bytes:
        told = {name: model if name == "model" else body[name] for name in order}
        members = [f'"{name}"{gap}:{gap}{json.dumps(value, ensure_ascii=ascii)}' for name, value in told.items()]
        return f"{{{gap}{f'{gap},'.join(members)}{gap}}}".encode()

    return written("mock/up"), written("up")


@many
@given(body=chats.requests, kept=kept, data=st.data())
def test_a_request_goes_out_as_it_is(
    stand: Stand, body: dict[str, Any], kept: frozenset[str], data: st.DataObject
) -> None:
    raw, sent = data.draw(spelled(chats.few(body, kept)))
    stand.mock.hits.clear()
    got = stand.call(body=raw)
    if got.status == 200:
        assert [hit.body for hit in stand.mock.hits] == [sent]
    else:
        assert (got.status, stand.mock.hits) == (400, [])
        assert got.error["param"], got.error


@many
@given(body=chats.requests, kept=kept)
def test_a_streams_request_goes_out_with_nothing_but_the_wish_for_usage(
    stand: Stand, body: dict[str, Any], kept: frozenset[str]
) -> None:
    body = chats.few(body, kept) | {"stream": True}
    stand.mock.hits.clear()
    got = stand.call(body=chats.raw(body | {"model": "mock/up"}))
    if got.status == 200:
        sent = chats.raw(body | {"model": "up"})
        assert [hit.body for hit in stand.mock.hits] == [sent[:-1] + WISH + b"}"]
    else:
        assert (got.status, stand.mock.hits, bool(got.error["param"])) == (400, [], True)


@many
@given(choices=st.lists(choice, max_size=3), more=extra, gap=blanks, ascii=st.booleans(), usage=chats.anything)
def test_an_answer_comes_back_as_it_is(
    stand: Stand, choices: list[Any], more: dict[str, Any], gap: str, ascii: bool, usage: Any
) -> None:
    answer = json.dumps({"choices": choices, "usage": usage} | more, ensure_ascii=ascii, indent=gap or None).encode()
    stand.mock.script("up", Answer(body=answer))
    got = stand.call(body=stand.ask("mock/up"))
    assert (got.status, got.body) == (200, answer)


@many
@given(
    deltas=st.lists(words, min_size=1, max_size=4),
    more=extra,
    end=st.sampled_from(["\n\n", "\r\n\r\n"]),
    ascii=st.booleans(),
    cut=st.integers(1, 40),
)
def test_a_stream_comes_back_as_it_is(
    stand: Stand, deltas: list[Any], more: dict[str, Any], end: str, ascii: bool, cut: int
) -> None:
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} | more for delta in deltas]
    chunks[-1]["choices"][0]["finish_reason"] = "stop"
    told = "".join(f"data: {json.dumps(chunk, ensure_ascii=ascii)}{end}" for chunk in chunks).encode()
    whole = b": hello\n\n" + told + b"data: [DONE]\n\n"
    stand.mock.script("up", Answer(chunks=[whole[at : at + cut] for at in range(0, len(whole), cut)]))
    got = stand.call(body=stand.ask("mock/up", stream=True))
    assert got.status == 200
    back, cost, done = got.body.removesuffix(sse.DONE).rpartition(b": x-request-cost=")
    assert (back, bool(cost), done[-2:]) == (b": hello\n\n" + told, True, b"\n\n")
    assert got.body.endswith(sse.DONE)
