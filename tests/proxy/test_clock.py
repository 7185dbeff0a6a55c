"""The wall clock is set while calls are under way (T-1): no time is negative, and nobody pays for it."""

from pathlib import Path

import pytest

from accounts.prices import Price
from loadtest.mockserver import MockServer
from tests.proxy.harness import ASK, bench, provider, route

NOON = 1_800_000_000.0
BY_TIME = Price(1, "mock", "", "*", 0.0, {"input": 0, "output": 0, "seconds": 10**15})


@pytest.mark.parametrize("step", [3600.0, -3600.0, 10 * 365 * 86_400.0, -10 * 365 * 86_400.0])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_clock_that_is_set_changes_neither_how_long_a_call_took_nor_its_price(
    tmp_path: Path, step: float, stream: bool
) -> None:
    async with (
        MockServer() as mock,
        bench(tmp_path, [route("m", (provider(mock.base_url), "ok"))], prices=[BY_TIME]) as gw,
    ):
        gw.gateway.clock = lambda: NOON + (step if mock.hits else 0)
        await (gw.stream(ASK) if stream else gw.ask(ASK))
        row = await gw.row()
    (attempt,) = row.attempts
    assert attempt.latency_us is not None and 0 <= attempt.latency_us <= (row.latency_us or 0) < 60_000_000
    assert row.cost_nano == 10**9 * (attempt.usage or {})["seconds"]
    assert row.at == NOON
