"""One run: a furnished gateway, a provider that keeps a journal, a crowd, and a kill every now and then."""

import asyncio
import http.client
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from loadtest.bench.machine import Cores
from loadtest.bench.rig import PRICE, Home, Rig, Server, free_port, rig, wait_for
from loadtest.mockserver import MockServer
from loadtest.torture.crowd import MIX, Crowd
from loadtest.torture.judge import Judgement, judge
from loadtest.torture.workers import ORPHAN_SECONDS, adopted, kill_one

# Seconds a gateway lives under load before it is killed. Every fifth time it is killed once more while it starts.
LONGEST_LIFE = 1.5
SHORTEST_LIFE = 0.1
WHILE_STARTING = 5
SETTLING_SECONDS = 30.0
Say = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What a run gave. `clean` says whether the promises held."""

    judgement: Judgement
    crowd: Crowd
    verdicts: list[str]
    kills: int = 0
    kills_while_starting: int = 0
    restarts: list[float] = field(default_factory=list)
    adoptions: list[float] = field(default_factory=list)  # seconds from a worker's death to the end of its journal
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        return not self.judgement.violations and all("is sound" in verdict for verdict in self.verdicts)


async def torture(
    folder: Path, *, kills: int, users: int, seed: int, say: Say = lambda line: None, workers: int = 1, url: str = ""
) -> Outcome:
    """Kill the gateway `kills` times under load, let all come to rest, and compare the accounts.

    With several `workers`, on the PostgreSQL at `url`, one of them is killed each time, and the others go on.
    """
    started = time.perf_counter()
    home = Home(folder / "data", free_port(), ("--workers", str(workers)) if workers > 1 else (), database=url)
    kill = _kill_workers if workers > 1 else _kill_again_and_again
    home.folder.mkdir(parents=True)
    hits = folder / "hits.jsonl"
    with rig(folder, Cores(None, None)) as made:
        async with MockServer(journal=hits, record=False) as mock:
            key = await asyncio.to_thread(furnish, home, mock.port)
            crowd = Crowd(home.port, key, users, seed)
            outcome = Outcome(Judgement(), crowd, [])
            async with working(crowd):
                await kill(made, home, outcome, kills, say)
            await asyncio.to_thread(come_to_rest, home)
            reserved = await asyncio.to_thread(reserved_nano, home)
            outcome.verdicts.append(await asyncio.to_thread(verdict, home))
            code = await asyncio.to_thread(made.servers[-1].stop)
            await mock.idle(10)
        if code:
            outcome.verdicts.append(f"the last stop ended with exit code {code}")
        outcome.verdicts.append(await asyncio.to_thread(verdict, home))
        rows = map(orjson.loads, home.run("ledger", "export", "--format", "jsonl").splitlines())
        nonces = [orjson.loads(line)["nonce"] for line in hits.read_bytes().splitlines()]
        outcome.judgement = judge(crowd.told, nonces, rows)
        outcome.judgement.violations += _late(outcome, reserved)
        left = [path.name for path in (home.folder / "journal").iterdir()]
        if left:
            outcome.judgement.violations.append(f"left in the journal's folder: {', '.join(left)}")
    outcome.seconds = time.perf_counter() - started
    return outcome


@asynccontextmanager
async def working(crowd: Crowd) -> AsyncIterator[None]:
    """The crowd asks while this lasts; at the end everybody gets the last answer."""
    task = asyncio.create_task(crowd.run())
    try:
        yield
    finally:
        crowd.over = True
        await task


async def _kill_again_and_again(made: Rig, home: Home, outcome: Outcome, kills: int, say: Say) -> None:
    chance = random.Random(outcome.crowd.seed)
    server = await _start(made, home, outcome)
    for number in range(1, kills + 1):
        await asyncio.sleep(chance.uniform(SHORTEST_LIFE, LONGEST_LIFE))
        await _kill(server)
        outcome.kills += 1
        if number % WHILE_STARTING == 0:
            server = made.gateway(home, outcome.crowd.key)
            await asyncio.sleep(chance.uniform(0.3, 1.5))
            await _kill(server)
            outcome.kills_while_starting += 1
        server = await _start(made, home, outcome)
        say(f"kill {number}: {len(outcome.crowd.told)} whole answers, {outcome.crowd.broken} broken off")
    await asyncio.sleep(1.0)


async def _kill_workers(made: Rig, home: Home, outcome: Outcome, kills: int, say: Say) -> None:
    chance = random.Random(outcome.crowd.seed)
    server = await _start(made, home, outcome)
    for number in range(1, kills + 1):
        victim = await kill_one(server, home.port, chance)
        outcome.kills += 1
        outcome.adoptions.append(await adopted(home, victim))
        say(f"kill {number}: {len(outcome.crowd.told)} whole answers, {outcome.crowd.broken} broken off")
    await asyncio.sleep(1.0)


def _late(outcome: Outcome, reserved: int) -> list[str]:
    """What is owed at rest: no orphan without its end, no money held for anybody."""
    slow = [seconds for seconds in outcome.adoptions if seconds > ORPHAN_SECONDS]
    found = [f"what a dead worker left was settled after {seconds:.1f} s only" for seconds in slow]
    return found + ([f"{reserved} nano-dollars are reserved at rest"] if reserved else [])


async def _start(made: Rig, home: Home, outcome: Outcome) -> Server:
    server = made.gateway(home, outcome.crowd.key)
    outcome.restarts.append(await asyncio.to_thread(wait_for, server, "/readyz"))
    return server


async def _kill(server: Server) -> None:
    server.process.kill()
    await asyncio.to_thread(server.process.wait)


def come_to_rest(home: Home) -> None:
    """Wait until nothing is under way and the journal is empty. Raises TimeoutError."""
    until = time.monotonic() + SETTLING_SECONDS
    while time.monotonic() < until:
        # Each worker speaks of its own journal alone.
        if waiting(home) == 0 and (not home.options or "is sound" in verdict(home)):
            return
        time.sleep(0.1)
    raise TimeoutError("the journal does not become empty")


def reserved_nano(home: Home) -> int:
    """What is held for calls under way, as soon as that is nothing; else after some seconds."""
    for _ in range(10):
        held = int(home.run("shell", "-v", "0", "-c", RESERVED))
        if held == 0:
            break
        time.sleep(1.0)
    return held


def waiting(home: Home) -> int:
    """How many records wait in the journal for the database."""
    connection = http.client.HTTPConnection("127.0.0.1", home.port, timeout=5)
    connection.request("GET", "/health")
    told = orjson.loads(connection.getresponse().read())
    connection.close()
    return int(told["journal"]["waiting"])


def verdict(home: Home) -> str:
    """What `qlite ledger verify` says, also where rows are not where they should be at rest."""
    try:
        said = home.run("ledger", "verify")
    except RuntimeError as error:
        return str(error)
    return said if " 0 undrained, 0 open" in said else f"not at rest: {said.splitlines()[0]}"


MODELS = tuple(name for name, _, _ in MIX if name not in {"second-chance", "twice"})


def furnish(home: Home, mock_port: int, models: Sequence[str] = MODELS) -> str:
    """Migrate, publish TABLE with `models`, set a price, and return a new API key."""
    home.run("setup")
    home.run("shell", "-v", "0", "-c", PRICE)
    table = home.folder / "torture.yaml"
    plain = "".join(f"\n  - {{name: {name}, targets: [{{provider: mock, model: {name}}}]}}" for name in models)
    table.write_text(TABLE.format(port=mock_port, nobody=free_port(), plain=plain))
    home.run("import", str(table))
    key = home.run("createkey", "--team", "torture", "--name", "torture", "--quiet")
    home.run("shell", "-v", "0", "-c", BUDGET)
    return key


# On routes with a price, large enough for everybody: what is tried is that calls reserve, and nothing stays reserved.
BUDGET = """
from accounts.models import Budget, Team
team = Team.objects.get(name="torture")
for route in ("paced-1x0ms", "paced-3x20ms", "paced-10x50ms", "paced-40x50ms"):
    Budget.objects.create(team=team, route=route, window="total", amount_nano=10**15)
"""
RESERVED = """
from django.db.models import Sum
from accounts.models import BudgetLease
print(BudgetLease.objects.aggregate(held=Sum("reserved_nano", default=0))["held"])
"""


# `second-chance`: the first target does not answer at all. `twice`: the first target fails, so one question reaches the
# provider two times.
TABLE = """\
providers:
  - {{name: mock, kind: openai-compatible, base_url: "http://127.0.0.1:{port}/v1"}}
  - {{name: again, kind: openai-compatible, base_url: "http://127.0.0.1:{port}/v1"}}
  - {{name: nobody, kind: openai-compatible, base_url: "http://127.0.0.1:{nobody}/v1"}}
routes:
  - name: second-chance
    targets: [{{provider: nobody, model: paced-3x20ms}}, {{provider: mock, model: paced-3x20ms, tier: 1}}]
  - name: twice
    targets: [{{provider: mock, model: 500x1-then-ok}}, {{provider: again, model: 500x1-then-ok, tier: 1}}]{plain}
"""
