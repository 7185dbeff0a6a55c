"""What the routing table says, met by calls: aliases, teams, conditions, time limits, sessions, larger contexts."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.mockserver import Answer, MockServer
from proxy.counters import Counters
from proxy.errors import GatewayError, ModelNotFound
from routing.decide import marked
from routing.values import Conditions, Limits, Provider, Route, Target
from tests.proxy.harness import ASK, GRANT, bench, other, provider, route


def routes(one: Provider) -> list[Route]:
    own = Route("m", (Target("m", one, "own"),), team="red")
    return [route("m", (one, "general")), own, Route("smart", (), alias_of="m")]


async def test_a_team_gets_its_own_route_by_name_and_by_alias(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, routes(provider(mock.base_url))) as gw:
        for model in ("m", "smart"):
            assert (await gw.ask(ASK | {"model": model})).target == "mock/own"
            blue = await gw.ask(ASK | {"model": model}, grant=other(team="blue"))
            assert blue.target == "mock/general"
        assert {(row.model_asked, row.route) for row in await gw.rows()} == {("m", "m"), ("smart", "m")}


async def test_a_keys_models_are_the_names_that_are_asked_for(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, routes(provider(mock.base_url))) as gw:
        grant = replace(GRANT, models=("smart",))
        assert (await gw.ask(ASK | {"model": "smart"}, grant=grant)).target == "mock/own"
        with pytest.raises(ModelNotFound):
            await gw.ask(ASK, grant=grant)


async def test_conditions_choose_by_what_the_body_asks(tmp_path: Path) -> None:
    async with MockServer() as mock:
        one = provider(mock.base_url)
        tools = Target("m", one, "tools", conditions=Conditions(tools="only"))
        plain = Target("m", one, "plain", conditions=Conditions(tools="never", max_context=1000))
        async with bench(tmp_path, [Route("m", (tools, plain))]) as gw:
            assert (await gw.ask(ASK)).target == "mock/plain"
            called = await gw.ask(ASK | {"tools": [{"type": "function", "function": {"name": "f"}}]})
            assert called.target == "mock/tools"
            long = ASK | {"messages": [{"role": "user", "content": "x" * 5000}]}
            with pytest.raises(GatewayError) as refused:
                await gw.ask(long)
            assert (refused.value.status, refused.value.code) == (503, "no_target")


async def test_a_targets_own_time_limit_wins_over_its_providers(tmp_path: Path) -> None:
    async with MockServer() as mock:
        mock.script("x", Answer(raw=True, chunks=[], then="hang"))
        patient = provider(mock.base_url, first_byte_timeout=60.0)
        hurried = Target("m", patient, "x", limits=Limits(first_byte_timeout=0.1))
        async with bench(tmp_path, [Route("m", (hurried,))]) as gw:
            with pytest.raises(GatewayError) as refused:
                await asyncio.wait_for(gw.ask(ASK), 5)
            assert refused.value.code == "upstream_timeout"


async def test_a_session_named_by_a_header_stays_with_its_target(tmp_path: Path) -> None:
    async with MockServer() as mock:
        one = provider(mock.base_url)
        targets = tuple(Target("m", one, f"t{number}") for number in range(4))
        async with bench(tmp_path, [Route("m", targets, sticky="X-Session-Id")]) as gw:
            went: dict[str, set[str]] = {}
            for session in "abcdefgh" * 3:
                reply = await gw.ask(ASK, headers={b"x-session-id": session.encode()})
                went.setdefault(session, set()).add(reply.target)
            assert all(len(targets) == 1 for targets in went.values())
            assert len(set.union(*went.values())) > 1
            rows = await gw.rows()
            assert [row.session for row in rows] == [int(marked(session)) for session in "abcdefgh" * 3]
            await gw.ask(ASK)
            assert (await gw.rows())[-1].session == 0


async def test_what_does_not_fit_goes_to_a_larger_context(tmp_path: Path) -> None:
    async with MockServer() as mock:
        said = b'{"error":{"message":"Too long.","type":"invalid_request_error","code":"context_length_exceeded"}}'
        mock.script("small", Answer(status=400, body=said))
        one = provider(mock.base_url)
        small = Target("m", one, "small", conditions=Conditions(max_context=8000))
        async with bench(tmp_path, [Route("m", (small, Target("m", one, "ok", 1)))]) as gw:
            reply = await gw.ask(ASK)
            assert reply.attempts == ["mock/small", "mock/ok"]
            assert gw.gateway.health.calm


async def test_the_fastest_is_learned_from_traffic(tmp_path: Path) -> None:
    async with MockServer() as mock:
        mock.script("slow", Answer(body=b'{"choices":[],"usage":{}}', delay=0.2))
        one = provider(mock.base_url)
        targets = (Target("m", one, "slow"), Target("m", one, "ok"))
        async with bench(tmp_path, [Route("m", targets, strategy="fastest")]) as gw:
            gw.gateway.draw = lambda: 0.3
            went = [(await gw.ask(ASK)).target for _ in range(5)]
            assert set(went[:2]) == {"mock/slow", "mock/ok"}  # who is not known is tried
            assert went[2:] == ["mock/ok"] * 3


def test_metrics_tell_of_breakers() -> None:
    counters = Counters()
    counters.breaker_moved("openai", "open")
    counters.open_breakers({"openai": 2})
    told = counters.render().decode()
    assert 'qlite_breaker_changes_total{provider="openai",state="open"} 1.0' in told
    assert 'qlite_breakers_open{provider="openai"} 2.0' in told
    counters.open_breakers({})
    assert 'qlite_breakers_open{provider="openai"} 0.0' in counters.render().decode()
