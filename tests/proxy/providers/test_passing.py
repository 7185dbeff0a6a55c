"""The kinds that speak OpenAI's dialect, case by case: what goes upstream, what comes back, what it costs."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from accounts.ledger.entry import Entry
from proxy import serving, sse
from proxy.call import Reply
from proxy.delivery import cost_text
from proxy.dialects.completions import Completions
from proxy.dialects.embeddings import Embeddings
from proxy.dialects.gemini import GeminiCaller
from proxy.dialects.messages import Messages
from proxy.dialects.openai_chat import ChatEncoder
from proxy.dialects.responses import Responses
from proxy.errors import AllTargetsFailed, GatewayError
from proxy.providers import ADAPTERS
from proxy.translation import Chunks, Translation
from proxy.upstream import Upstream
from routing.values import Provider
from tests.proxy.harness import ASK, TIMEOUTS, Bench, bench, read, route
from tests.proxy.providers import passing
from tests.proxy.providers.passing import ASKED, PRICE, Case, Pieces, Scripted

REQUESTS, REPLIES, STREAMS = (passing.cases(what) for what in ("requests", "replies", "streams"))
# A stub answers by itself: its cases are in test_stub_golden.
SCRIPTED_REPLIES = [case for case in REPLIES if case.kind != "stub"]
SCRIPTED_STREAMS = [case for case in STREAMS if case.kind != "stub"]
SURFACES = {
    "chat": None,
    "completions": Completions(),
    "embeddings": Embeddings(),
    "gemini": GeminiCaller(),
    "messages": Messages(),
    "responses": Responses(),
}
PLAIN = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}'
STREAM = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize("kind", passing.KINDS)
def test_there_are_enough_of_them(kind: str) -> None:
    for found, enough in ((REQUESTS, 40), (REPLIES, 40), (STREAMS, 30)):
        texts = [str(case.given) for case in found if case.kind == kind]
        assert len(texts) == len(set(texts)) >= enough


class Table:
    """A gateway for one kind, on a loop of its own, whose provider is scripted."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._made = folder, 0

    def ask(self, case: Case, raw: bytes, *parts: bytes, **answer: Any) -> tuple[bytes, Reply | GatewayError, Entry]:
        """What comes back, with what headers or error, and the row."""
        return asyncio.run(self._ask(case, raw, Scripted(parts=list(parts), **answer)))

    async def _ask(self, case: Case, raw: bytes, provider: Scripted) -> tuple[bytes, Reply | GatewayError, Entry]:
        self.sent = provider.sent
        async with self._bench(case, provider) as gw:
            surface = case.given.get("surface", "chat")
            call = gw.receive(size=len(raw), dialect=SURFACES[surface])
            url = {"model": ASKED, "stream": bool(case.given.get("streams"))} if surface == "gemini" else {}
            try:
                reply = await serving.serve(gw.gateway, call, raw, **url)
            except GatewayError as error:
                return b"", error, await gw.row()
            back = await read(reply) if reply.stream is not None else reply.body
            return back, reply, await gw.row()

    @asynccontextmanager
    async def _bench(self, case: Case, provider: Scripted) -> AsyncIterator[Bench]:
        self._made += 1
        place = Provider("up", case.kind, case.get("base"), secret=case.get("secret", "sk-upstream-canary"))
        routes = [route(ASKED, (place, case.served), answer_as_asked=bool(case.given.get("as_asked")))]
        async with bench(self._folder / str(self._made), routes, prices=[PRICE]) as gw:
            gw.gateway.upstream = Upstream(TIMEOUTS, max_response_bytes=10**6, transports={case.kind: provider})
            yield gw


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    yield Table(tmp_path_factory.mktemp("passing"))


@pytest.mark.parametrize("case", REQUESTS, ids=str)
def test_what_goes_upstream(table: Table, case: Case) -> None:
    raw = case.text(case.given["text"]).encode()
    streams = b'"stream":true' in raw or case.given.get("streams")
    back, reply, _ = table.ask(case, raw, STREAM if streams else case.text(case.get("answer", PLAIN.decode())).encode())
    if refused := case.given.get("refused"):
        assert isinstance(reply, GatewayError)
        assert ({"status": reply.status, "code": reply.code, "param": reply.param}, table.sent) == (refused, [])
        return
    assert isinstance(reply, Reply), reply
    (sent,) = table.sent
    assert str(sent.url) == case.get("url")
    assert dict(sent.pairs) == case.get("headers")
    assert sorted(reply.ignored) == sorted(case.given.get("ignored", []))
    if "sent" in case.given:  # translated: the same JSON, in whatever order
        assert orjson.loads(sent.content) == orjson.loads(case.text(case.given["sent"], outward=True))
    else:
        assert sent.content.decode() == case.text(case.given["text"], outward=True)
    assert back


@pytest.mark.parametrize("case", SCRIPTED_REPLIES, ids=str)
def test_what_an_answer_becomes(table: Table, case: Case) -> None:
    said = case.text(case.given["text"]).encode()
    status, headers = case.given.get("status", 200), case.given.get("headers", {})
    back, reply, row = table.ask(case, orjson.dumps(ASK | {"model": ASKED}), said, status=status, headers=headers)
    if "error" in case.given:
        assert isinstance(reply, GatewayError)
        judge(reply, case)
        return
    assert back == case.text(case.given["text"], outward=True).encode()
    judge_row(row, case)
    reasons = [choice["finish_reason"] for choice in orjson.loads(back)["choices"]]
    assert reasons[-1] == case.given.get("finish")


def judge(error: GatewayError, case: Case) -> None:
    """Compare what the caller is told of a failure with what the case expects."""
    wanted = {"code": None, "param": None, "retry_after": None} | case.given["error"]
    told = {name: getattr(error, name) for name in ("status", "type", "code", "param")}
    told |= {"next": isinstance(error, AllTargetsFailed), "retry_after": error.retry_after}
    if "says" in wanted:
        told["says"] = error.message
    assert told == wanted
    assert "canary" not in json.dumps(error.body())


def judge_row(row: Entry, case: Case, status: str = "settled") -> None:
    """Compare what was written down with what the case expects: usage by class, how sure it is, and the cost."""
    assert (row.status, row.usage_source) == (status, case.given.get("source", "provider"))
    assert row.usage == case.given["usage"]
    assert (row.cost_nano, row.cost_status) == (case.cost, "priced")


def wanted_back(case: Case, raw: bytes) -> list[bytes]:
    """The events that come back untouched."""
    if "back" in case.given:
        return sse.events(case.text(case.given["back"], outward=True).encode())
    whole = sse.events(raw)
    held = {*case.given.get("held", []), *case.given.get("drop", [])}
    return [each for at, each in enumerate(whole) if at not in held and (sse.data_of(each) or b"").strip() != b"[DONE]"]


@pytest.mark.parametrize("case", SCRIPTED_STREAMS, ids=str)
def test_what_a_stream_becomes(table: Table, case: Case) -> None:
    raw = passing.said(case)
    asked = ASK | {"model": ASKED, "stream": True}
    if case.given.get("asks"):
        asked["stream_options"] = {"include_usage": True}
    back, reply, row = table.ask(case, orjson.dumps(asked), raw)
    if refused := case.given.get("refused"):
        assert isinstance(reply, AllTargetsFailed)
        assert {"status": reply.status, "code": reply.code} == refused
        return
    untouched = b"".join(wanted_back(case, raw))
    assert back.startswith(untouched)
    rest = back[len(untouched) :]
    if "cut" in case.given:
        judge_row(row, case, "interrupted")
        body = orjson.loads(rest.removeprefix(b"data: "))
        assert rest.endswith(b"\n\n")
        assert (list(body), body["error"]["code"], row.error) == (["error"], case.given["cut"], case.given["cut"])
        assert case.given.get("says", body["error"]["message"]) == body["error"]["message"]
        return
    judge_row(row, case)
    cost = cost_text(case.cost)
    closing = f": x-request-cost={cost}\n\ndata: [DONE]\n\n"
    if case.given.get("asks"):
        (told,) = (sse.data_of(each) or b"" for each in sse.events(raw) if b'"usage"' in each and b"prompt_tok" in each)
        closing = f'data: {{"cost":"{cost}",{told.decode().lstrip()[1:]}\n\n{closing}'
    assert rest.decode() == closing
    assert passing.finished(untouched) == case.given.get("finish")


@pytest.mark.parametrize(
    "case", [case for case in STREAMS if case in SCRIPTED_STREAMS or "back" in case.given], ids=str
)
def test_a_stream_may_be_cut_at_any_byte(case: Case) -> None:
    raw = passing.said(case) if case.kind != "stub" else case.text(case.given["back"], outward=True).encode()
    whole = passing.relayed(case.kind, [raw])
    assert passing.relayed(case.kind, [raw[at : at + 1] for at in range(len(raw))]) == whole
    for at in range(1, len(raw)):
        assert passing.relayed(case.kind, [raw[:at], raw[at:]]) == whole, at


@pytest.mark.parametrize("case", SCRIPTED_STREAMS, ids=str)
def test_a_translator_reads_the_same(case: Case) -> None:
    """What callers of other dialects get rests on the same usage and the same end."""
    raw = passing.said(case)
    _, usage, code = passing.relayed(case.kind, [raw])
    stream = Translation(Pieces([raw]), Chunks(ADAPTERS[case.kind].usage), ChatEncoder(wants_usage=False))
    failed = None
    back = b""
    try:
        passing.at_once(stream.begin())
        while part := passing.at_once(stream.next()):
            back += part
    except GatewayError as error:
        failed = error.code
    assert (failed, stream.usage) == (code, usage)
    if failed is None:
        assert passing.finished(re.sub(rb"\s*:\s*", b":", back)) == case.given.get("finish")
