"""The routing table is swapped while calls are under way: the catalogue's U-26, B-13 and B-15."""

import asyncio
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accounts.prices import Book
from loadtest.mockserver import Answer, MockServer
from proxy import serving
from proxy.errors import ModelNotFound
from routing.snapshot import Snapshot, build
from routing.values import Provider, Route, Target
from tests.proxy.harness import ASK, PRICE, bench, provider, read, route

STREAMS = 200
FIRST = b'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\n'
REST = b'data: {"choices":[{"delta":{"content":"lo"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
EDITED, DISABLED, DELETED = "edited", "disabled", "deleted"


def after(edit: str, old: Provider, new: Provider) -> Snapshot:
    """The next revision: the route goes elsewhere, is switched off, or is no more, and so is its provider."""
    routes = {
        EDITED: [route("m", (new, "ok"))],
        DISABLED: [replace(route("m", (old, "held")), enabled=False), route("n", (new, "ok"))],
        DELETED: [route("n", (new, "ok"))],
    }[edit]
    return build(8, routes, [new] if edit == DELETED else [old, new])


@pytest.mark.parametrize("edit", [EDITED, DISABLED, DELETED])
async def test_u26_live_streams_end_well_whatever_becomes_of_their_route(tmp_path: Path, edit: str) -> None:
    async with MockServer() as mock:
        go_on = asyncio.Event()
        mock.script("held", Answer(chunks=[FIRST, go_on, REST]))
        old, new = provider(mock.base_url, "old"), provider(mock.base_url, "new")
        async with bench(tmp_path, [route("m", (old, "held"))]) as gw:
            replies = [await gw.ask(ASK | {"stream": True}) for _ in range(STREAMS)]
            gw.gateway.snapshot = after(edit, old, new)
            if edit == EDITED:
                assert (await gw.ask(ASK)).target == "new/ok"
            else:
                with pytest.raises(ModelNotFound):
                    await gw.ask(ASK)
            go_on.set()
            for said in await asyncio.gather(*(read(reply) for reply in replies)):
                assert said.startswith(FIRST)
                assert said.endswith(b"data: [DONE]\n\n")
                assert b'"error"' not in said
            streams = [row for row in await gw.rows() if row.stream]
            assert len(streams) == STREAMS
            assert {(row.status, row.revision, row.provider) for row in streams} == {("settled", 7, "old")}


async def test_b13_a_disabled_model_is_not_found_even_if_its_answer_is_kept(tmp_path: Path) -> None:
    async with MockServer() as mock:
        one = provider(mock.base_url, "one")
        here = route("m", (one, "ok"))
        async with bench(tmp_path, [here], ttl=60) as gw:
            await gw.ask(ASK)
            assert (await gw.ask(ASK)).cache == "HIT"
            gw.gateway.snapshot = build(8, [replace(here, enabled=False)], [one])
            with pytest.raises(ModelNotFound):
                await gw.ask(ASK)
            gw.gateway.snapshot = build(9, [here], [one])
            assert (await gw.ask(ASK)).cache == "HIT"


async def test_b13_hits_agree_with_what_was_edited_meanwhile(tmp_path: Path) -> None:
    async with MockServer() as mock:
        one = provider(mock.base_url, "one")
        async with bench(tmp_path, [route("m", (one, "ok"))], ttl=60) as gw:
            await gw.ask(ASK)
            await gw.ask(ASK)
            dearer = {unit: nano * 10 for unit, nano in PRICE.nano_per_million.items()}
            gw.gateway.book = Book([replace(PRICE, id=2, nano_per_million=dearer)])
            await gw.ask(ASK)  # what is saved is told at the price in force
            (key,) = gw.gateway.cache._entries
            gw.gateway.cache.drop(key)
            assert (await gw.ask(ASK)).cache == "MISS"
            _, before, since, _ = await gw.rows()
            assert since.saved_nano == 10 * before.saved_nano > 0


def whole(number: int, one: Provider) -> Snapshot:
    """A revision in which every name, exact, by pattern or by alias, leads to a model of this very number."""
    model = f"r{number}"
    routes = [
        Route(name, (Target(name, one, model),), team=team, retries=number)
        for name, team in (("exact", ""), ("pattern-*", ""), ("exact", "red"))
    ]
    return build(number, [*routes, Route("alias", (), alias_of="pattern-x")], [one])


@pytest.fixture
def eager_threads() -> Any:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.00001)
    yield
    sys.setswitchinterval(before)


async def test_b15_reads_during_swaps_are_old_or_new_and_never_mixed(tmp_path: Path, eager_threads: Any) -> None:
    """A thread swaps without a pause, as the housekeeper's would; what a call reads is of one revision alone."""
    async with MockServer() as mock:
        one = provider(mock.base_url, "one")
        revisions = [whole(number, one) for number in range(1, 6)]
        async with bench(tmp_path, []) as gw:
            gw.gateway.snapshot = revisions[0]
            over = threading.Event()

            def swap() -> None:
                while not over.is_set():
                    for each in revisions:
                        gw.gateway.snapshot = each

            swapper = threading.Thread(target=swap)
            swapper.start()
            seen = set()
            try:
                for number in range(5000):
                    call = gw.receive()
                    name = ("exact", "pattern-y", "alias")[number % 3]
                    serving._read(gw.gateway, call, b'{"model":"%s","messages":[{"role":"user"}]}' % name.encode(), {})
                    (target,) = call.match.targets
                    said = {call.entry.revision, call.match.route.retries, int(target.model[1:])}
                    assert len(said) == 1
                    seen |= said
            finally:
                over.set()
                swapper.join()
            assert len(seen) > 1  # or nothing was swapped
