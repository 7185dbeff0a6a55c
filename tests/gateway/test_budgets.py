"""Budgets as callers meet them: one process on SQLite, four workers on PostgreSQL, many calls at once (B-1, B-3, B-6).

The four workers need a DATABASE_URL on PostgreSQL, in whose server they get a database of their own.
"""

import asyncio
import json
import os
import random
import secrets
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import pytest

from loadtest import procfs
from loadtest.bench.rig import free_port
from loadtest.mockserver import MockServer, in_thread
from tests.gateway.stand import ROUTES, SECRET, House, Stand

USD = 1_000_000_000
REST_SECONDS = 60.0
POSTGRES = os.environ.get("DATABASE_URL", "")
postgres = pytest.mark.skipif(not POSTGRES.startswith("postgres"), reason="needs PostgreSQL")
# A tenth of a dollar for each token of the answer, or a thousandth; the mock says three. The prompt costs nothing.
FURNISH = """
import json
from datetime import UTC, datetime
from accounts.models import Budget, Price, Team
from accounts.store.keys import make_key
since = datetime(2025, 1, 1, tzinfo=UTC)
Price.objects.create(provider="mock", model="ok", effective_from=since, input=0, output=100_000_000_000_000)
Price.objects.create(provider="mock", model="*", effective_from=since, input=0, output=1_000_000_000_000)
keys = {}
for name in ("one", "two", "three", "four", "rich", "cold"):
    team = Team.objects.create(name=name)
    amount = 1_000_000_000 * (1000 if name == "rich" else 1)
    Budget.objects.create(team=team, window="month", amount_nano=amount)
    keys[name] = make_key(team, name)[1].text
print(json.dumps(keys))
"""
LOOK = """
import json
from accounts.models import BudgetLease, DailyTotal
rows = DailyTotal.objects.filter(team="{team}")
leases = BudgetLease.objects.filter(budget__team__name="{team}")
print(json.dumps({{
    "spent": sum(row.cost_nano for row in rows),
    "leases": leases.count(),
    "reserved": sum(lease.reserved_nano for lease in leases),
}}))
"""


@dataclass(frozen=True)
class BudgetHouse(House):
    """With budgets in it, and `workers` processes."""

    workers: int = 1
    settings: dict[str, str] = field(default_factory=dict)

    def furnished(self, mock_port: int) -> dict[str, str]:
        self.run("setup")
        table = self.folder / "tests.yaml"
        table.write_text(ROUTES.format(port=mock_port, nobody=free_port(), secret=SECRET))
        self.run("import", str(table))
        keys: dict[str, str] = json.loads(self.run("shell", "-v", "0", "-c", FURNISH))
        return keys

    def look(self, team: str) -> dict[str, int]:
        found: dict[str, int] = json.loads(self.run("shell", "-v", "0", "-c", LOOK.format(team=team)))
        return found

    def wait_for_rest(self, team: str) -> dict[str, int]:
        """What the ledger has, once nothing is reserved or leased any more."""
        give_up = time.monotonic() + REST_SECONDS
        while (found := self.look(team))["leases"] and time.monotonic() < give_up:
            time.sleep(0.5)
        assert not found["leases"], found
        return found


@contextmanager
def database_of_ours() -> Iterator[str]:
    import psycopg

    place = urlsplit(POSTGRES)
    name = f"qlite_budgets_{secrets.token_hex(4)}"
    with psycopg.connect(POSTGRES, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlunsplit(place._replace(path=f"/{name}"))
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def running(folder: Path, *, workers: int, database: str = "") -> Iterator[tuple[Stand, BudgetHouse, MockServer]]:
    settings = {"QLITE_WORKERS": str(workers)}
    with in_thread(latency=0.02) as mock:
        home = BudgetHouse(folder / "data", free_port(), database=database, settings=settings, workers=workers)
        home.folder.mkdir()
        keys = home.furnished(mock.port)
        stand = Stand(home, {"good": keys["one"], **keys}, mock)
        try:
            yield stand, home, mock
            assert stand.stop() == 0, stand.log.read_text()[-4000:]
            assert "The ledger is sound" in stand.verify()
        finally:
            stand.kill()


@pytest.fixture(
    scope="module", params=["one process", pytest.param("four workers", marks=[postgres, pytest.mark.postgres])]
)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("budgets")
    if request.param == "one process":
        with running(folder, workers=1) as made:
            yield made
    else:
        with database_of_ours() as database, running(folder, workers=4, database=database) as made:
            yield made


async def crowd(
    stand: Stand, team: str, count: int, *, users: int, models: tuple[str, ...], **fields: Any
) -> list[Any]:
    """Make `count` calls, `users` at a time, each on a connection of its own; return status, headers and body."""
    gate, draw = asyncio.Semaphore(users), random.Random(7)
    url, headers = f"{stand.base_url}/chat/completions", {"authorization": f"Bearer {stand.keys[team]}"}

    async def one(session: aiohttp.ClientSession, model: str) -> Any:
        async with gate:
            try:
                async with session.post(url, json=stand.ask(f"mock/{model}", **fields), headers=headers) as answer:
                    return answer.status, answer.headers, await answer.read()
            except aiohttp.ClientError:
                return 0, {}, b""

    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(60)) as session:
        return await asyncio.gather(*(one(session, draw.choice(models)) for _ in range(count)))


def statuses(outcomes: list[Any]) -> Counter[int]:
    return Counter(outcome[0] for outcome in outcomes)


def test_b1_b3_three_calls_of_thirty_cents_fit_into_a_dollar_whoever_asks_first(place: Any) -> None:
    stand, home, _ = place
    outcomes = asyncio.run(crowd(stand, "one", 100, users=100, models=("ok",), max_tokens=3))
    assert statuses(outcomes) == {200: 3, 429: 97}
    refused = [outcome for outcome in outcomes if outcome[0] == 429]
    for _, headers, body in refused:
        error = json.loads(body)["error"]
        assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
        assert headers["x-should-retry"] == "false"
        assert (headers["x-budget-scope"], headers["x-budget-window"]) == ("team", "month")
        assert (headers["x-budget-limit"], headers["x-budget-needed"]) == ("1.000000000", "0.300000000")
        assert headers["x-budget-reset"].endswith("-01T00:00:00+00:00")
        assert int(headers["retry-after"]) > 0
    assert min(headers["x-budget-left"] for _, headers, _ in refused) == "0.100000000"
    found = home.wait_for_rest("one")
    assert (found["spent"], found["reserved"]) == (9 * USD // 10, 0)


def test_many_small_calls_spend_the_budget_to_the_last_one_that_fits_and_not_beyond(place: Any) -> None:
    stand, home, _ = place
    outcomes = asyncio.run(crowd(stand, "two", 500, users=60, models=("small-ok",), max_tokens=3))
    outcomes += asyncio.run(crowd(stand, "two", 4, users=1, models=("small-ok",), max_tokens=3))
    assert statuses(outcomes) == {200: 333, 429: 171}
    assert home.wait_for_rest("two")["spent"] == 333 * 3 * USD // 1000


def test_b6_failures_cuts_and_a_killed_worker_leave_nothing_reserved_and_refuse_nobody_wrongly(place: Any) -> None:
    stand, home, _ = place
    if home.workers == 1:
        pytest.skip("with one process the gateway itself would be gone; make torture does that")

    async def with_a_kill() -> list[Any]:
        models = ("small-ok", "small-ok", "small-ok", "status-500", "cut-1", "drop")
        work = asyncio.create_task(crowd(stand, "three", 300, users=50, models=models, max_tokens=3))
        await asyncio.sleep(0.5)
        worker = random.Random(3).choice(procfs.tree(stand._server.process.pid)[1:])
        os.kill(worker, signal.SIGKILL)
        return await work

    outcomes = asyncio.run(with_a_kill())
    assert statuses(outcomes)[429] == 0
    assert statuses(outcomes)[200] > 50
    found = home.wait_for_rest("three")
    assert found["reserved"] == 0
    left = (USD - found["spent"]) // (3 * USD // 1000)
    outcomes = asyncio.run(crowd(stand, "three", left + 5, users=8, models=("small-ok",), max_tokens=3))
    assert statuses(outcomes) == {200: left, 429: 5}


def test_what_a_killed_process_had_reserved_is_free_after_its_restart(place: Any) -> None:
    stand, home, mock = place
    if home.workers > 1:
        pytest.skip("a worker of four is killed elsewhere")

    async def with_a_kill() -> None:
        models = ("paced-3x3000ms",)
        work = asyncio.create_task(crowd(stand, "three", 20, users=20, models=models, max_tokens=3, stream=True))
        while len([hit for hit in mock.hits if hit.model == models[0]]) < 20:
            await asyncio.sleep(0.05)
        stand.kill()
        await work

    asyncio.run(with_a_kill())
    stand.start()
    found = home.wait_for_rest("three")
    assert (found["reserved"], found["spent"]) == (0, 0)  # the prompt costs nothing, and no answer was whole
    outcomes = asyncio.run(crowd(stand, "three", 335, users=8, models=("small-ok",), max_tokens=3))
    assert statuses(outcomes) == {200: 333, 429: 2}


def test_with_the_database_away_the_lease_serves_and_without_one_it_is_503(place: Any) -> None:
    stand, home, _ = place
    if home.workers > 1:
        pytest.skip("the server of PostgreSQL is not ours to stop")
    small: dict[str, Any] = {"users": 2, "models": ("small-ok",), "max_tokens": 3}
    assert statuses(asyncio.run(crowd(stand, "rich", 4, **small))) == {200: 4}
    lock = sqlite3.connect(home.folder / "qlite.sqlite3", isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
        assert statuses(asyncio.run(crowd(stand, "rich", 20, **small))) == {200: 20}
        refused = asyncio.run(crowd(stand, "cold", 2, **small))
    finally:
        lock.close()
    assert statuses(refused) == {503: 2}
    assert [json.loads(body)["error"]["code"] for _, _, body in refused] == ["budget_unavailable"] * 2
    assert refused[0][1]["retry-after"] == "1"
    time.sleep(6)  # SQLite's busy timeout, in which the housekeeper may be waiting
    assert statuses(asyncio.run(crowd(stand, "cold", 2, **small))) == {200: 2}


def test_b7_a_change_is_in_force_within_a_second_in_every_worker(place: Any) -> None:
    stand, home, _ = place
    assert statuses(asyncio.run(crowd(stand, "four", 12, users=4, models=("small-ok",), max_tokens=3))) == {200: 12}
    change = "from accounts.models import Budget; b = Budget.objects.get(team__name='four'); b.{}; b.save()"
    for text, status in (("amount_nano = 1", 429), ("amount_nano = 10**9", 200), ("active = False", 200)):
        home.run("shell", "-v", "0", "-c", change.format(text))
        asyncio.run(asyncio.sleep(1.0))
        outcomes = asyncio.run(crowd(stand, "four", 12, users=4, models=("small-ok",), max_tokens=3))
        assert statuses(outcomes) == {status: 12}, text
