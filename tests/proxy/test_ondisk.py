"""Records that are on the disk before a call goes on: one sync for all who wait, and no call without."""

import asyncio
import threading
from pathlib import Path

import pytest

from accounts.ledger.journal import JournalUnavailable
from loadtest.mockserver import Answer, MockServer
from proxy import sse
from proxy.errors import GatewayError
from proxy.ondisk import OnDisk
from tests.proxy.harness import ASK, bench, provider, read, route
from tests.proxy.test_never_open import STOP, USED
from tests.proxy.test_streams import last_event


class Disk:
    """A sync that the test lets go on, and that fails after `good` ones."""

    def __init__(self, *, open: bool = True, good: int = 1_000) -> None:
        self.count, self.good = 0, good
        self.open = threading.Event()
        if open:
            self.open.set()

    def sync(self) -> None:
        self.count += 1
        self.open.wait(5)
        if self.count > self.good:
            raise JournalUnavailable("the disk is gone")


async def test_those_who_come_while_a_sync_is_under_way_share_the_next_one() -> None:
    disk = Disk(open=False)
    on_disk = OnDisk(disk.sync)
    first = asyncio.create_task(on_disk())
    while not disk.count:
        await asyncio.sleep(0)
    others = [asyncio.create_task(on_disk()) for _ in range(100)]
    await asyncio.sleep(0.01)
    assert disk.count == 1 and not any(each.done() for each in others)
    disk.open.set()
    await asyncio.gather(first, *others)
    assert disk.count == 2
    await on_disk()
    assert disk.count == 3


async def test_a_failure_is_told_to_those_who_waited_for_it_and_to_nobody_after() -> None:
    disk = Disk(good=0)
    on_disk = OnDisk(disk.sync)
    for each in await asyncio.gather(on_disk(), on_disk(), return_exceptions=True):
        assert isinstance(each, JournalUnavailable)
    disk.good = 1_000
    await on_disk()


async def test_who_leaves_does_not_end_the_sync_of_the_others() -> None:
    disk = Disk(open=False)
    on_disk = OnDisk(disk.sync)
    leaves, stays = asyncio.create_task(on_disk()), asyncio.create_task(on_disk())
    await asyncio.sleep(0)
    leaves.cancel()
    disk.open.set()
    await stays
    assert leaves.cancelled()


async def test_no_provider_is_called_and_no_last_byte_leaves_before_the_row_is_on_the_disk(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "ok"))]) as gw:
        mock.script("ok", Answer(chunks=[STOP, USED, sse.DONE]))
        disk = Disk(open=False)
        gw.gateway.on_disk = OnDisk(disk.sync)
        asked = asyncio.create_task(gw.ask(ASK | {"stream": True}))
        while not disk.count:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        assert (mock.hits, gw.gateway.journal.in_flight()) == ([], 1)
        disk.open.set()
        reply = await asked
        disk.open.clear()
        reading = asyncio.create_task(read(reply))
        while disk.count < 2:
            await asyncio.sleep(0.001)
        assert gw.gateway.journal.in_flight() == 0 and not reading.done()
        disk.open.set()
        assert sse.DONE in await reading


@pytest.mark.parametrize("stream", [False, True])
async def test_a_disk_that_fails_at_the_end_keeps_the_last_byte_back(tmp_path: Path, stream: bool) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "ok"))]) as gw:
        gw.gateway.on_disk = OnDisk(Disk(good=1).sync)
        if stream:
            mock.script("ok", Answer(chunks=[STOP, USED, sse.DONE]))
            body = await read(await gw.ask(ASK | {"stream": True}))
            assert sse.DONE not in body and last_event(body)["error"]["code"] == "ledger_unavailable"
        else:
            with pytest.raises(GatewayError) as caught:
                await gw.ask(ASK)
            assert caught.value.code == "ledger_unavailable"
        row = await gw.row()
    assert (row.status, row.usage_source) == ("settled", "provider")


async def test_a_disk_that_fails_at_the_beginning_sends_nothing(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "ok"))]) as gw:
        gw.gateway.on_disk = OnDisk(Disk(good=0).sync)
        with pytest.raises(GatewayError) as caught:
            await gw.ask(ASK)
        assert (caught.value.code, mock.hits) == ("ledger_unavailable", [])
        row = await gw.row()
    assert (row.status, row.cost_nano, [each.status for each in row.attempts]) == ("failed", 0, ["failed"])
