"""The stub, which answers by itself: what it says to each of its golden requests, and what becomes of that."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accounts.ledger.entry import Entry
from proxy import sse
from proxy.call import Reply
from proxy.errors import GatewayError
from proxy.upstream import Upstream
from routing.values import Provider
from tests.proxy.harness import ASK, TIMEOUTS, Bench, bench, read, route
from tests.proxy.providers import passing
from tests.proxy.providers.passing import PRICE, Case

REPLIES, STREAMS = ([case for case in passing.cases(what) if case.kind == "stub"] for what in ("replies", "streams"))
CASES = REPLIES + STREAMS
STUB = Provider("stub", "stub")
IMPATIENT = replace(TIMEOUTS, idle=0.3)  # seconds; the stub that stalls is waited for
Heard = tuple[bytes, Reply | GatewayError, Entry]


async def heard(gw: Bench, case: Case, place: int) -> tuple[bytes, Reply | GatewayError]:
    ask = ASK | {"model": f"m{place}"} | case.given.get("ask", {})
    try:
        reply = await gw.ask(ask | ({"stream": True} if case in STREAMS else {}))
    except GatewayError as error:
        return b"", error
    back = await read(reply) if reply.stream is not None else reply.body
    return re.sub(rb'"created":\d+', b'"created":1795000000', back), reply


async def all_heard(folder: Path) -> dict[str, Heard]:
    """Every case at once: the stub takes its time."""
    routes = [route(f"m{place}", (STUB, case.served)) for place, case in enumerate(CASES)]
    async with bench(folder, routes, prices=[PRICE]) as gw:
        gw.gateway.upstream = Upstream(IMPATIENT, max_response_bytes=10**6)
        told = await asyncio.gather(*(heard(gw, case, place) for place, case in enumerate(CASES)))
        rows = {row.model_asked: row for row in await gw.rows()}
        return {name(case): (*told[place], rows[f"m{place}"]) for place, case in enumerate(CASES)}


def name(case: Case) -> str:
    return f"{'stream' if case in STREAMS else 'reply'}-{case.name}"


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Heard]]:
    yield asyncio.run(all_heard(tmp_path_factory.mktemp("stub")))


@pytest.mark.parametrize("case", CASES, ids=name)
def test_what_the_stub_says(answers: dict[str, Heard], case: Case) -> None:
    back, reply, row = answers[name(case)]
    if refused := case.given.get("refused"):
        assert isinstance(reply, GatewayError)
        assert {"status": reply.status, "code": reply.code} == refused
        return
    said = case.text(case.given["back"], outward=True).encode()
    assert back == said if case in REPLIES else framed(back, said, case.given)
    assert passing.finished(back) == case.given.get("finish")
    assert (row.cost_nano, row.cost_status) == (0, "free")
    assert row.usage_source == ("estimated" if "cut" in case.given else case.given.get("source", "provider"))
    if row.usage_source == "provider":
        assert row.usage == case.given["usage"]


def framed(back: bytes, said: bytes, given: Any) -> bool:
    """Whether the stub's events came back, its usage only to who asked for it, and the end that belongs to it."""
    events = sse.events(said)
    words = [
        each for each in events if b'"choices":[]' not in each and b"[DONE]" not in each and b'{"error"' not in each
    ]
    end = [b": x-request-cost=0.000000000\n\n", sse.DONE]
    usage = [each.replace(b"{", b'{"cost":"0.000000000",', 1) for each in events if b'"choices":[]' in each]
    if given.get("ask", {}).get("stream_options"):
        end = [*usage, *end]
    if "cut" in given:
        end = sse.events(back)[-1:]
        assert f'"code":"{given["cut"]}"'.encode() in end[0]
    return sse.events(back) == [*words, *end]
