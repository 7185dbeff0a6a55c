"""Whatever callers and providers send: an answer or an error of ours, one settled row, and bytes left as they were."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.ledger.entry import Entry, from_json
from loadtest.mockserver import Answer, MockServer
from proxy.errors import GatewayError
from tests.proxy.harness import Bench, bench, provider, read, route

EXPECTED = {200, 400, 404, 413, 415, 422, 429}
UPSTREAMS_FAULT = {502, 503, 504}
quick = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Tried:
    """A gateway with a scripted provider, on a loop that outlives the examples."""

    def __init__(self, runner: asyncio.Runner, gw: Bench, mock: MockServer) -> None:
        self._runner, self._gw, self._mock = runner, gw, mock

    def __call__(self, raw: bytes) -> tuple[int, bytes, list[bytes], Entry]:
        """Send `raw`; the status, what came back, what the provider got, and the one row there must be."""
        return self._runner.run(self._ask(raw))

    def upstream(self, answer: Answer) -> None:
        self._mock.script("up", answer)

    async def _ask(self, raw: bytes) -> tuple[int, bytes, list[bytes], Entry]:
        self._mock.hits.clear()
        try:
            reply = await self._gw.ask(raw)
            status, back = 200, await read(reply) if reply.stream else reply.body
        except GatewayError as error:
            status, back = error.status, json.dumps(error.body()).encode()
        while self._gw.gateway.tasks:
            await asyncio.wait(self._gw.gateway.tasks)
        journal = self._gw.gateway.journal
        rows = journal.ready(10)
        journal.forget([id for id, _ in rows])
        assert (len(rows), journal.in_flight()) == (1, 0)
        return status, back, [hit.body for hit in self._mock.hits], from_json(rows[0][1])


@contextmanager
def tried(folder: Path, ttl: int) -> Iterator[Tried]:
    with asyncio.Runner() as runner:
        mock = runner.run(MockServer().start())
        open_bench = bench(folder, [route("m", (provider(mock.base_url), "up"))], ttl=ttl)
        gw = runner.run(open_bench.__aenter__())
        yield Tried(runner, gw, mock)
        runner.run(open_bench.__aexit__(None, None, None))
        runner.run(mock.stop())


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    with tried(tmp_path_factory.mktemp("fuzz"), 0) as made:
        yield made


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    """The same with the exact cache on."""
    with tried(tmp_path_factory.mktemp("fuzz"), 60) as made:
        yield made


@pytest.fixture(autouse=True)
def _unscripted(ask: Tried) -> None:
    ask._mock.script("up")


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
NAMES = ("model", "messages", "role", "content", "tools", "tool_calls", "n", "stream", "usage", "choices", "metadata")
names = st.sampled_from([*NAMES, "temperature", "max_tokens", "user", "stream_options", "stop", "seed"]) | texts
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts | st.sampled_from(["m", "user", "up"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "tool"])},
    optional={"content": texts | st.lists(anything, max_size=3), "name": anything, "tool_calls": anything},
)
VALID = {"model": st.just("m"), "messages": st.lists(messages, min_size=1, max_size=3)}
OPTIONAL = {
    "stream": st.booleans(),
    "stream_options": st.dictionaries(st.sampled_from(["include_usage", "other"]), st.booleans()),
    "tools": anything,
    "temperature": st.floats(0, 2),
    "user": anything,
    "odd one": anything,
    "x\\": anything,
    'a"b': anything,
}


@quick
@given(body=anything)
def test_it_answers_any_json(ask: Tried, body: Any) -> None:
    status, back, hits, _ = ask(json.dumps(body).encode())
    assert status in EXPECTED
    assert json.loads(back)
    assert hits == [] or status == 200


@quick
@given(raw=st.binary(max_size=200))
def test_it_answers_any_bytes(ask: Tried, raw: bytes) -> None:
    status, _, hits, row = ask(raw)
    assert (status, hits, row.status) == (400, [], "failed")


@quick
@given(body=st.fixed_dictionaries(VALID, optional=OPTIONAL), spoilt=st.dictionaries(names, anything, max_size=2))
def test_it_answers_what_is_almost_a_request(ask: Tried, body: dict[str, Any], spoilt: dict[str, Any]) -> None:
    status, back, hits, row = ask(json.dumps(body | spoilt).encode())
    assert status in EXPECTED
    assert back
    assert row.status == ("settled" if status == 200 else "failed")
    assert len(hits) == (status == 200)


REAL = json.dumps(
    {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Gr\xfc\xdfe, \u4e16\u754c \U0001f600"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
        "temperature": 0.7,
        "max_tokens": 256,
        "logit_bias": {"50256": -100},
        "response_format": {"type": "json_object"},
    },
    ensure_ascii=False,
).encode()


@quick
@given(st.data())
def test_it_answers_a_request_with_a_few_bytes_wrong(ask: Tried, data: st.DataObject) -> None:
    raw = bytearray(REAL)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(["flip", "drop", "insert", "cut", "double"])):
            case "flip":
                raw[place] ^= 1 << data.draw(st.integers(0, 7))
            case "drop":
                del raw[place]
            case "insert":
                raw.insert(place, data.draw(st.sampled_from(b'{}[]",:\\\0\xff0e')))
            case "cut":
                del raw[place + 1 :]
            case _:
                raw[place:place] = raw[place:]
    status, _, hits, row = ask(bytes(raw))
    assert status in EXPECTED
    assert (len(hits), row.status) == ((1, "settled") if status == 200 else (0, "failed"))


blanks = st.sampled_from(["", " ", "\n", " \t\r\n "])


@st.composite
def spelled(draw: st.DrawFn, body: dict[str, Any]) -> tuple[bytes, bytes]:
    """`body` as some encoder might write it, and the same with the upstream's model name in its place."""
    members = []
    for name, value in body.items():
        text = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
        members.append([escaped(name) if draw(st.booleans()) else json.dumps(name), text])
    place = list(body).index("model")

    def written(model: str) -> bytes:
        parts = [name + gap + ":" + gap + (model if at == place else text) for at, (name, text) in enumerate(members)]
        return (gap + "{" + gap + ("," + gap).join(parts) + gap + "}" + gap).encode()

    gap = draw(blanks)
    return written(json.dumps("m")), written(json.dumps("up"))


def escaped(text: str) -> str:
    """The name with its first letter as a \\u escape, which means the same."""
    return f'"\\u{ord(text[0]):04x}{json.dumps(text[1:])[1:]}' if ord(text[0]) < 128 else json.dumps(text)


@quick
@given(st.data())
def test_it_changes_no_byte_but_the_models(ask: Tried, data: st.DataObject) -> None:
    optional = {name: value for name, value in OPTIONAL.items() if not name.startswith("stream")}
    body = data.draw(st.fixed_dictionaries(VALID, optional=optional))
    order = data.draw(st.permutations(list(body)))
    raw, sent = data.draw(spelled({name: body[name] for name in order}))
    status, _, hits, _ = ask(raw)
    assert (status, hits) == (200, [sent])


@quick
@given(st.data())
def test_it_adds_to_a_stream_nothing_but_the_wish_for_usage(ask: Tried, data: st.DataObject) -> None:
    body = data.draw(st.fixed_dictionaries(VALID, optional=OPTIONAL)) | {"stream": True}
    raw, _ = data.draw(spelled(body))
    status, back, hits, row = ask(raw)
    assert (status, row.usage_source) == (200, "provider")
    assert back.endswith(b"data: [DONE]\n\n")
    wish = {"stream_options": body.get("stream_options", {}) | {"include_usage": True}}
    assert exactly(hits[0]) == exactly(json.dumps(body | {"model": "up"} | wish).encode())


def exactly(raw: bytes) -> Any:
    """JSON parsed with nothing lost: members in their order, numbers as they are spelled."""
    return json.loads(raw, object_pairs_hook=lambda pairs: ("object", pairs), parse_float=str, parse_int=str)


@quick
@given(answer=anything, stream=st.booleans(), then=st.sampled_from(["end", "cut"]))
def test_it_survives_any_json_of_a_provider(ask: Tried, answer: Any, stream: bool, then: Any) -> None:
    ask.upstream(replace(streamed(answer, done=then == "end"), then=then) if stream else plain(answer))
    request = {"model": "m", "messages": [{"role": "user", "tool_calls": answer}], "stream": stream}
    status, back, _, row = ask(json.dumps(request).encode())
    assert status in {200, *UPSTREAMS_FAULT}
    assert row.status in {"settled", "interrupted", "failed"}
    assert row.usage_source in {"provider", "estimated"} or row.status == "failed"
    if stream and status == 200:
        assert back.endswith(b"data: [DONE]\n\n") is (row.status == "settled")


def plain(answer: Any) -> Answer:
    message = {"index": 0, "finish_reason": "stop", "message": answer}
    return Answer(body=json.dumps({"choices": [answer, message], "usage": answer}).encode())


def streamed(answer: Any, *, done: bool) -> Answer:
    deltas = [answer, {"content": answer, "tool_calls": answer}]
    choices = [answer, [answer], *([{"index": 0, "delta": delta, "finish_reason": "stop"}] for delta in deltas)]
    events = [answer, *({"choices": choice} for choice in choices)]
    chunks = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    return Answer(chunks=[*chunks, b"data: [DONE]\n\n"] if done else chunks)


@quick
@given(answer=anything, streams=st.lists(st.booleans(), min_size=2, max_size=3), nonce=st.uuids())
def test_it_survives_keeping_any_json_of_a_provider(
    keeping: Tried, answer: Any, streams: list[bool], nonce: object
) -> None:
    for stream in streams:
        keeping.upstream(streamed(answer, done=True) if stream else plain(answer))
        request = {"model": "m", "messages": [{"role": "user", "content": str(nonce)}], "stream": stream}
        status, back, _, row = keeping(json.dumps(request).encode())
        assert (status, row.status) in {(200, "settled"), (200, "cached")} or status in UPSTREAMS_FAULT
        assert back.endswith(b"data: [DONE]\n\n") or not stream or status != 200


@quick
@given(raw=st.binary(max_size=300), stream=st.booleans())
def test_it_survives_any_bytes_of_a_provider(ask: Tried, raw: bytes, stream: bool) -> None:
    answer = Answer(chunks=[raw[:9], raw[9:]]) if stream else Answer(body=raw)
    ask.upstream(answer)
    request = {"model": "m", "messages": [{"role": "user"}], "stream": stream}
    status, _, _, row = ask(json.dumps(request).encode())
    assert status in {200, *UPSTREAMS_FAULT}
    assert row.status != "open"
