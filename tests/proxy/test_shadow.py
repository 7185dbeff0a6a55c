"""Copies of calls for shadow targets: somebody else pays, and the caller never notices."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from accounts.ledger.entry import Entry
from loadtest.mockserver import Answer, MockServer
from proxy.gateway import SHADOW
from proxy.shadow import AT_ONCE
from routing.values import Conditions, Provider, Route, Target
from tests.proxy.harness import ASK, Bench, bench, provider


def shadowed(real: Provider, copied: Provider, **shadow: Any) -> Route:
    return Route(
        "m", (Target("m", real, "ok"), Target("m", copied, "copy", shadow=shadow.pop("share", 100.0), **shadow))
    )


async def rows(gw: Bench) -> tuple[list[Entry], list[Entry]]:
    """The rows of callers, and those of copies."""
    found = await gw.rows()
    return [row for row in found if row.key_label != "shadow"], [row for row in found if row.key_label == "shadow"]


async def test_a_copy_is_a_request_of_its_own_that_ops_pay_for(tmp_path: Path) -> None:
    async with MockServer() as mock:
        real, copied = provider(mock.base_url, "real"), provider(mock.base_url, "copied")
        async with bench(tmp_path, [shadowed(real, copied)]) as gw:
            gw.gateway.shadow_payer = replace(SHADOW, team="platform", cost_centre="CC9")
            reply = await gw.ask(ASK)
            assert (reply.target, reply.attempts) == ("real/ok", ["real/ok"])
            (row,), (copy,) = await rows(gw)
            assert (row.team, [each.target for each in row.attempts]) == ("red", ["real/ok"])
            assert (copy.team, copy.cost_centre, copy.key_id) == ("platform", "CC9", "")
            assert (copy.status, copy.route, copy.model_asked, copy.client_request_id) == ("settled", "m", "m", row.id)
            assert [each.target for each in copy.attempts] == ["copied/copy"]
            assert copy.cost_nano > 0
            assert copy.id != row.id
            assert "" not in gw.gateway.used
            assert gw.gateway.copies == 0
            asked = {hit.model: orjson.loads(hit.body)["messages"] for hit in mock.hits}
            assert asked == {"ok": ASK["messages"], "copy": ASK["messages"]}


async def test_streams_are_copied_to_their_end(tmp_path: Path) -> None:
    async with MockServer() as mock:
        async with bench(
            tmp_path, [shadowed(provider(mock.base_url, "real"), provider(mock.base_url, "copied"))]
        ) as gw:
            assert (await gw.stream(ASK)).endswith(b"data: [DONE]\n\n")
            (row,), (copy,) = await rows(gw)
            assert (row.status, copy.status, copy.stream) == ("settled", "settled", True)


async def test_a_slow_or_broken_shadow_is_no_trouble_of_the_caller(tmp_path: Path) -> None:
    async with MockServer() as mock:
        async with bench(
            tmp_path, [shadowed(provider(mock.base_url, "real"), provider(mock.base_url, "copied"))]
        ) as gw:
            mock.script("copy", Answer(raw=True, chunks=[], then="hang"))
            assert (await asyncio.wait_for(gw.ask(ASK), 1.0)).target == "real/ok"
            for task in gw.gateway.tasks:
                task.cancel("server_shutting_down")
            await asyncio.gather(*gw.gateway.tasks, return_exceptions=True)
            mock.script("copy", Answer(status=500))
            assert (await gw.ask(ASK)).target == "real/ok"
            _, copies = await rows(gw)
            assert [(copy.status, copy.error) for copy in copies] == [
                ("interrupted", "server_shutting_down"),
                ("failed", "upstream_error"),
            ]
            assert gw.gateway.journal.in_flight() == 0


async def test_a_share_of_the_calls_is_copied_and_only_those_the_target_takes(tmp_path: Path) -> None:
    async with MockServer() as mock:
        real, copied = provider(mock.base_url, "real"), provider(mock.base_url, "copied")
        picky = Conditions(tools="only")
        async with bench(tmp_path, [shadowed(real, copied, share=50.0), other("t", real, copied, picky)]) as gw:
            draws = iter([0.49, 0.5])
            gw.gateway.draw = lambda: next(draws, 0.0)
            await gw.ask(ASK)
            await gw.ask(ASK)
            await gw.ask(ASK | {"model": "t"})
            callers, copies = await rows(gw)
            assert (len(callers), len(copies)) == (3, 1)


def other(name: str, real: Provider, copied: Provider, conditions: Conditions) -> Route:
    made = shadowed(real, copied, conditions=conditions)
    return replace(made, name=name, targets=tuple(replace(each, route=name) for each in made.targets))


async def test_there_are_never_too_many_and_none_for_a_target_in_trouble(tmp_path: Path) -> None:
    async with MockServer() as mock:
        async with bench(
            tmp_path, [shadowed(provider(mock.base_url, "real"), provider(mock.base_url, "copied"))]
        ) as gw:
            gw.gateway.copies = AT_ONCE
            await gw.ask(ASK)
            gw.gateway.copies = 0
            for _ in range(3):
                gw.gateway.health.failed("copied/copy", "upstream_timeout", gw.gateway.clock())
            await gw.ask(ASK)
            gw.gateway.draining = lambda: True
            await gw.ask(ASK)
            assert [hit.model for hit in mock.hits] == ["ok", "ok", "ok"]
