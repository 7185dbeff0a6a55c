"""Every surface at every kind of provider, plain and streamed, well and badly: the row has the right bill, once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from accounts.ledger.entry import Entry
from accounts.prices import Book, Price
from loadtest.mockserver import Answer
from proxy.native.flow import BrokenOff
from tests.proxy.billing.surfaces import BILLS, BY_REQUEST, PRICE, STREAMED, SURFACES, WAYS, Surface, cost_of
from tests.proxy.billing.wires import CHAT, COMPLETIONS, EVENTS, JSON, LEFT_OUT, WORDS, Wire
from tests.proxy.native.harness import Passer, passing
from tests.site.test_handler import Client

ways = pytest.mark.parametrize(("surface", "stream"), WAYS, ids=lambda each: str(each))
streamed = pytest.mark.parametrize("surface", STREAMED, ids=str)


@asynccontextmanager
async def billing(folder: Path, kind: str, price: Price = PRICE) -> AsyncIterator[Passer]:
    async with passing(folder, kind) as gw:
        gw.bench.gateway.book = Book([price])
        yield gw


class Leaver(Client):
    """A caller who leaves after so many pieces of the answer."""

    stays_for = 1

    async def send(self, message: Any) -> None:
        await super().send(message)
        if len([part for part in self.parts if part]) >= self.stays_for:
            self.left.set()


async def ask(gw: Passer, surface: Surface, *, stream: bool) -> Client:
    path, body, _ = surface.way(stream=stream)
    client = Client("POST", path)
    client.scope["raw_path"], client.scope["query_string"] = path.encode(), surface.query
    client._body = orjson.dumps(body)
    with suppress(BrokenOff):  # bytes that have no form for an error: the connection breaks
        await client(gw._handler)
    return client


async def billed(gw: Passer, surface: Surface, answer: Answer, *, stream: bool) -> tuple[Client, Entry]:
    """Ask once, with `answer` from the provider; what the caller got, and the one row of it."""
    gw.mock.script("*", answer)
    client = await ask(gw, surface, stream=stream)
    row = await gw.bench.row()
    assert row.status != "open"
    assert [attempt.status for attempt in row.attempts].count("open") == 0
    assert row.cost_nano == sum(attempt.cost_nano for attempt in row.attempts) == cost_of(row.usage)
    return client, row


@ways
async def test_what_the_provider_reports_is_billed_class_by_class(
    tmp_path: Path, surface: Surface, stream: bool
) -> None:
    wire = surface.way(stream=stream)[2]
    used, classes, cost = BILLS[id(wire)]
    async with billing(tmp_path, surface.kind) as gw:
        client, row = await billed(gw, surface, wire.answer(used, stream=stream), stream=stream)
    assert (client.status, row.status, row.usage_source, row.cost_status) == (200, "settled", "provider", "priced")
    assert (row.usage, row.cost_nano, row.stream) == (classes, cost, stream)


@ways
async def test_a_price_for_each_request_is_asked_once_beside_the_tokens(
    tmp_path: Path, surface: Surface, stream: bool
) -> None:
    wire = surface.way(stream=stream)[2]
    used, classes, cost = BILLS[id(wire)]
    async with billing(tmp_path, surface.kind, BY_REQUEST) as gw:
        _, row = await billed(gw, surface, wire.answer(used, stream=stream), stream=stream)
    assert (row.usage, row.cost_nano) == (classes | {"requests": 1}, cost + 40_000)


@ways
async def test_without_usage_the_words_are_counted(tmp_path: Path, surface: Surface, stream: bool) -> None:
    wire = surface.way(stream=stream)[2]
    async with billing(tmp_path, surface.kind) as gw:
        client, row = await billed(gw, surface, wire.answer(LEFT_OUT, stream=stream), stream=stream)
    assert (client.status, row.status, row.usage_source, row.cost_status) == (200, "settled", "estimated", "priced")
    assert_counted(row, wire)


def assert_counted(row: Entry, wire: Wire) -> None:
    """About the tokens that were heard and said: six of the prompt with its frame, and one for each word."""
    assert 6 <= row.usage["input"] <= 20, row.usage
    assert row.usage.get("output", 0) == (len(WORDS) if wire.says else 0)


ODD: list[Any] = [
    None,
    {},
    [],
    "12",
    7,
    {"prompt_tokens": None, "input_tokens": None, "promptTokenCount": None},
    {"prompt_tokens": "12", "input_tokens": "12", "promptTokenCount": "12", "output_tokens": 1},
    {"prompt_tokens": -1, "input_tokens": -1, "promptTokenCount": -1, "output_tokens": 1},
    {"prompt_tokens": 1.5, "input_tokens": 1.5, "promptTokenCount": 1.5, "output_tokens": 1},
    {"prompt_tokens": True, "input_tokens": True, "promptTokenCount": True, "output_tokens": 1},
    {"prompt_tokens": 10**18, "input_tokens": 10**18, "promptTokenCount": 10**18, "output_tokens": 1},
    {"prompt_tokens": 2**70, "input_tokens": 2**70, "promptTokenCount": 2**70, "output_tokens": 1},
    {"completion_tokens": 5, "output_tokens": 5, "candidatesTokenCount": 5},
    {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    {
        "prompt_tokens": 9,
        "input_tokens": 9,
        "promptTokenCount": 9,
        "output_tokens": 1,
        "prompt_tokens_details": {"cached_tokens": 99},
        "input_tokens_details": {"cached_tokens": 99},
        "cache_read_input_tokens": -4,
        "cachedContentTokenCount": 99,
    },
]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: str(odd)[:40])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_nonsense_in_place_of_usage_is_never_billed(tmp_path: Path, odd: Any, stream: bool) -> None:
    """One gateway for all surfaces: what matters is that each row is an estimate, and that there is one."""
    for number, (surface, _) in enumerate([way for way in WAYS if way[1] is stream]):
        wire = surface.way(stream=stream)[2]
        async with billing(tmp_path / str(number), surface.kind) as gw:
            client, row = await billed(gw, surface, wire.answer(odd, stream=stream), stream=stream)
        assert (client.status, row.usage_source, row.status) == (200, "estimated", "settled"), surface
        assert_counted(row, wire)


@ways
@pytest.mark.parametrize("status", [400, 429, 500])
@pytest.mark.parametrize("said", [b"", b'{"error":{"message":"no","type":"x","code":1,"status":"S"}}', b"<html>"])
async def test_an_error_of_the_provider_costs_nothing(
    tmp_path: Path, surface: Surface, stream: bool, status: int, said: bytes
) -> None:
    async with billing(tmp_path, surface.kind) as gw:
        answer = Answer(status=status, headers=JSON, body=said)
        client, row = await billed(gw, surface, answer, stream=stream)
    assert client.status >= 400
    assert (row.status, row.usage, row.usage_source, row.cost_nano) == ("failed", {}, "none", 0)
    assert len(row.attempts) == len(gw.mock.hits) == 1


@ways
async def test_an_answer_that_is_cut_is_billed_for_what_came(tmp_path: Path, surface: Surface, stream: bool) -> None:
    wire = surface.way(stream=stream)[2]
    used, _, cost = BILLS[id(wire)]
    async with billing(tmp_path, surface.kind) as gw:
        answer = wire.cut(used, stream=stream)
        client, row = await billed(gw, surface, answer, stream=stream)
    assert (row.status, row.usage_source, row.cost_status) == ("interrupted", "estimated", "priced")
    assert client.status == (200 if stream else 502)
    assert 0 < row.cost_nano <= cost
    assert len(WORDS) - 1 <= row.usage.get("output", 3 if not stream else 0) <= len(WORDS)
    if stream and wire.early:
        told = ("input", "cached_input", "cache_write")
        assert {unit: row.usage.get(unit, 0) for unit in told} == {unit: early(wire).get(unit, 0) for unit in told}


def early(wire: Wire) -> dict[str, int]:
    """What the provider has said of the prompt before the answer: Gemini counts the tools' part only later."""
    classes = BILLS[id(wire)][1]
    return classes if wire.tail == 3 else classes | {"input": classes["input"] - 7}


@streamed
@pytest.mark.parametrize("stays_for", [1, 3])
async def test_a_caller_who_leaves_half_way_pays_what_came(tmp_path: Path, surface: Surface, stays_for: int) -> None:
    path, body, wire = surface.way(stream=True)
    used, _, cost = BILLS[id(wire)]
    async with billing(tmp_path, surface.kind) as gw:
        pieces: list[Any] = [piece for each in wire.words(used) for piece in (each, 0.01)]
        gw.mock.script("*", Answer(headers=wire.headers, chunks=pieces, then="hang"))
        client = Leaver("POST", path)
        client.stays_for, client.scope["raw_path"] = stays_for, path.encode()
        client.scope["query_string"], client._body = surface.query, orjson.dumps(body)
        await asyncio.wait_for(client(gw._handler), 5)
        async with asyncio.timeout(1):
            while not gw.mock.hits[0].ended:
                await asyncio.sleep(0.005)
        row = await gw.bench.row()
    assert gw.mock.hits[0].peer_closed
    assert (row.status, row.usage_source, row.client_gone) == ("interrupted", "estimated", True)
    assert row.cost_nano == cost_of(row.usage) <= cost
    assert row.cost_nano > 0
    assert row.usage.get("output", 0) <= len(WORDS)


@pytest.mark.parametrize("surface", SURFACES, ids=str)
async def test_a_plain_answer_is_paid_for_in_full_also_when_nobody_waits_for_it(
    tmp_path: Path, surface: Surface
) -> None:
    used, classes, cost = BILLS[id(surface.wire)]
    async with billing(tmp_path, surface.kind) as gw:
        gw.mock.script("*", replace(surface.wire.answer(used, stream=False), delay=0.05))
        client = Client("POST", surface.path)
        client.scope["raw_path"], client._body = surface.path.encode(), orjson.dumps(surface.body)
        client.left.set()
        await client(gw._handler)
        row = await gw.bench.row()
    assert (row.status, row.usage_source, row.client_gone) == ("settled", "provider", True)
    assert (row.usage, row.cost_nano) == (classes, cost)
    assert not gw.mock.hits[0].peer_closed


@streamed
@pytest.mark.parametrize("fate", ["cut", "left"])
async def test_usage_in_every_chunk_is_cumulative_and_no_sign_of_the_end(
    tmp_path: Path, surface: Surface, fate: str
) -> None:
    """As vLLM's continuous usage: the last word counts, once, and an answer that is cut is not whole for it."""
    path, body, wire = surface.way(stream=True)
    if wire not in (CHAT, COMPLETIONS):
        return
    used = [
        f'"usage":{{"prompt_tokens":50,"completion_tokens":{count},"total_tokens":0}}'.encode() for count in range(9)
    ]
    pieces: list[Any] = [
        piece.replace(b'"choices"', used[place] + b',"choices"') for place, piece in enumerate(wire.events(LEFT_OUT))
    ]
    async with billing(tmp_path, surface.kind) as gw:
        _, row = await billed(gw, surface, Answer(headers=EVENTS, chunks=pieces), stream=True)
        assert (row.status, row.usage_source, row.usage) == ("settled", "provider", {"input": 50, "output": 4})
        gw.bench.gateway.journal.forget([row.id])
        gw.mock.script(
            "*", Answer(headers=EVENTS, chunks=pieces[:3], gap=0.02, then="cut" if fate == "cut" else "hang")
        )
        if fate == "cut":
            await ask(gw, surface, stream=True)
        else:
            leaver = Leaver("POST", path)
            leaver.stays_for, leaver._body = 2, orjson.dumps(body)
            leaver.scope["raw_path"] = path.encode()
            await asyncio.wait_for(leaver(gw._handler), 5)
        row = await gw.bench.row()
    assert (row.status, row.usage_source, row.client_gone) == ("interrupted", "estimated", fate == "left")
    assert row.usage["input"] == 50
    assert 1 <= row.usage["output"] <= 3
