"""No row stays open while its process lives: not when a price is damaged, not when the journal cannot take the end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from accounts.ledger.entry import Entry
from accounts.ledger.journal import Journal, JournalUnavailable
from accounts.ledger.scan import scan
from accounts.prices import Price
from loadtest.mockserver import Answer, MockServer
from proxy import sse
from proxy.errors import GatewayError
from tests.proxy.harness import ASK, Bench, bench, provider, read, route
from tests.proxy.lender import CALL, COST
from tests.proxy.test_admission import at_rest, budgeted, spent

DAMAGED = Price(1, "", "", "*", 0.0, {"input": -1, "output": 1})
STOP = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'
USED = b'data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":3}}\n\n'


class Choked:
    """A journal whose disk is full for `times` lines of the sort called `what`."""

    def __init__(self, journal: Journal, what: str, times: int) -> None:
        self._journal, self._what, self.left = journal, what, times

    def __getattr__(self, name: str) -> Any:
        return self._refuse if name == self._what and self.left else getattr(self._journal, name)

    def _refuse(self, entry: Entry) -> None:
        self.left -= 1
        raise JournalUnavailable("full")


@asynccontextmanager
async def two_targets(folder: Path, mock: MockServer) -> AsyncIterator[Bench]:
    first, second = provider(mock.base_url, "one"), provider(mock.base_url, "two")
    async with bench(folder, [route("m", (first, "bad"), (second, "ok"))]) as gw:
        yield gw


def choke(gw: Bench, what: str, times: int = 1) -> None:
    held: Any = Choked(gw.gateway.journal, what, times)
    gw.gateway.journal = held


@pytest.mark.parametrize("stream", [False, True])
async def test_what_cannot_be_priced_is_unpriced(tmp_path: Path, stream: bool) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "ok"))]) as gw:
        gw.gateway.book = type(gw.gateway.book)([DAMAGED])
        if stream:
            assert sse.DONE in await gw.stream(ASK)
        else:
            assert (await gw.ask(ASK)).cost_nano is None
        row = await gw.row()
    assert (row.status, row.cost_status, row.usage_source) == ("settled", "unpriced", "provider")


async def test_a_failure_that_may_be_billed_ends_without_a_price_too(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "up"))]) as gw:
        gw.gateway.book = type(gw.gateway.book)([DAMAGED])
        mock.script("up", Answer(body=b"<html>"))
        with pytest.raises(GatewayError):
            await gw.ask(ASK)
        row = await gw.row()
    assert (row.status, row.cost_status) == ("interrupted", "unpriced")


@pytest.mark.parametrize("stream", [False, True])
async def test_what_the_journal_could_not_take_is_settled_as_soon_as_it_can(tmp_path: Path, stream: bool) -> None:
    async with MockServer() as mock, budgeted(tmp_path, mock) as (gw, _):
        choke(gw, "settle", 2 if stream else 1)
        if stream:
            mock.script("ok", Answer(chunks=[STOP, USED, sse.DONE]))
            assert b"ledger_unavailable" in await read(await gw.ask(CALL | {"stream": True}))
        else:
            with pytest.raises(GatewayError) as caught:
                await gw.ask(CALL)
            assert (caught.value.status, caught.value.code) == (503, "ledger_unavailable")
        row = await gw.row()
        assert (row.status, row.http_status, row.error) == ("interrupted", 503, "ledger_unavailable")
        assert (row.cost_nano, row.usage_source, spent(gw), at_rest(gw)) == (COST, "provider", COST, True)


async def test_a_second_attempt_that_cannot_be_written_ends_the_row_with_the_first(tmp_path: Path) -> None:
    async with MockServer() as mock, two_targets(tmp_path, mock) as gw:
        mock.script("bad", Answer(body=b"<html>"))
        choke(gw, "update")
        with pytest.raises(GatewayError) as caught:
            await gw.ask(ASK)
        assert caught.value.code == "ledger_unavailable"
        row = await gw.row()
        assert [hit.model for hit in mock.hits] == ["bad"]
    assert (row.status, row.http_status, [each.status for each in row.attempts]) == (
        *("interrupted", 503),
        ["interrupted"],
    )


async def test_what_was_never_opened_leaves_nothing_behind(tmp_path: Path) -> None:
    async with MockServer() as mock, budgeted(tmp_path, mock) as (gw, _):
        choke(gw, "open")
        with pytest.raises(GatewayError):
            await gw.ask(CALL)
        assert (mock.hits, await gw.rows(), at_rest(gw)) == ([], [], True)


async def test_a_damaged_price_does_not_keep_a_dead_process_s_rows_from_the_ledger(tmp_path: Path) -> None:
    from accounts.ledger.recover import recover
    from accounts.prices import Book

    async with MockServer() as mock, bench(tmp_path / "living", [route("m", (provider(mock.base_url), "ok"))]) as gw:
        journal = gw.gateway.journal
        choke(gw, "settle", 1_000)
        with pytest.raises(GatewayError):
            await gw.ask(ASK)
        with scan(tmp_path / "living", journal.name) as held:
            (raw,) = recover(held, Book([DAMAGED]), alive_at=0.0)
        gw.gateway.journal.left = 0  # type: ignore[attr-defined]
    assert b'"status":"interrupted"' in raw and b'"unpriced"' in raw
