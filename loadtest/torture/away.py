"""One run without the database: callers ask on, nobody gets an error, nothing is lost; a full journal refuses first."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from loadtest.bench.machine import Cores
from loadtest.bench.rig import Home, free_port, rig, wait_for
from loadtest.mockserver import MockServer
from loadtest.torture.crowd import GOOD, Crowd
from loadtest.torture.databases import Database
from loadtest.torture.judge import Judgement, judge
from loadtest.torture.run import Say, come_to_rest, furnish, verdict, waiting, working

AROUND = 2.0  # seconds under load before and after
SMALL_JOURNAL = 256 * 1024  # bytes, which are full in a moment
PATIENCE = 30.0


@dataclass(slots=True)
class Away:
    """What a run gave. `statuses` are what callers were told; `waiting` the most records that the journal held."""

    judgement: Judgement = field(default_factory=Judgement)
    statuses: Counter[int] = field(default_factory=Counter)
    verdicts: list[str] = field(default_factory=list)
    seconds_away: float = 0.0
    waiting: int = 0
    refused: int = 0

    @property
    def clean(self) -> bool:
        return not self.judgement.violations and all("is sound" in each for each in self.verdicts)


@dataclass(slots=True)
class _Scene:
    home: Home
    crowd: Crowd
    hits: Path

    def nonces(self) -> list[str]:
        return [orjson.loads(line)["nonce"] for line in self.hits.read_bytes().splitlines()]


async def away(
    folder: Path, database: Database, *, seconds: float, users: int, seed: int, say: Say = lambda line: None
) -> Away:
    """Take the database away for `seconds` while `users` ask: no error, nothing lost."""
    run = Away()
    async with _scene(folder, database, users, seed, run) as scene:
        with database.away(scene.home.folder):
            until = (started := time.monotonic()) + seconds
            while time.monotonic() < until:
                await asyncio.sleep(min(1.0, seconds / 4))
                run.waiting = max(run.waiting, await asyncio.to_thread(waiting, scene.home))
                say(f"{time.monotonic() - started:.0f} s without: {len(scene.crowd.told)} answers")
            run.seconds_away = time.monotonic() - started
    bad = {status: count for status, count in run.statuses.items() if status != 200}
    crowd = scene.crowd
    if bad or crowd.broken or crowd.refused or crowd.late or not all(told.complete for told in crowd.told):
        trouble = f"{bad} {crowd.broken} broken {crowd.refused} refused {crowd.late} late"
        run.judgement.violations.append(f"callers noticed: {trouble}")
    return run


async def full(folder: Path, database: Database, *, users: int, seed: int, say: Say = lambda line: None) -> Away:
    """Take the database away until the journal is full: 503 before anything is sent, and all is well afterwards."""
    run = Away()
    small = {"QLITE_JOURNAL_BYTES": str(SMALL_JOURNAL)}
    async with _scene(folder, database, users, seed, run, small) as scene:
        told = scene.crowd.told
        with database.away(scene.home.folder):
            started = time.monotonic()
            while not any(each.status == 503 for each in told) and time.monotonic() - started < PATIENCE:
                await asyncio.sleep(0.1)
            await asyncio.sleep(1.0)
            run.seconds_away = time.monotonic() - started
        seen, until = len(told), time.monotonic() + PATIENCE
        while not any(each.status == 200 for each in told[seen:]) and time.monotonic() < until:
            await asyncio.sleep(0.1)
        say(f"full after {run.seconds_away:.0f} s")
    heard = set(scene.nonces())
    sent = [each.nonce for each in scene.crowd.told if each.status == 503 and each.nonce in heard]
    run.refused = run.statuses[503]
    run.judgement.violations += [f"{nonce}: refused, but the provider heard of it" for nonce in sent]
    if set(run.statuses) != {200, 503} or scene.crowd.broken or told[-1].status != 200:
        run.judgement.violations.append(f"callers were told {dict(run.statuses)}, {scene.crowd.broken} broken")
    return run


@asynccontextmanager
async def _scene(
    folder: Path, database: Database, users: int, seed: int, run: Away, settings: dict[str, str] | None = None
) -> AsyncIterator[_Scene]:
    """A gateway under load, and once all has come to rest, the judgement."""
    home = Home(folder / "data", free_port(), database=database.fresh(), settings=settings or {})
    home.folder.mkdir(parents=True)
    hits = folder / "hits.jsonl"
    with rig(folder, Cores(None, None)) as made:
        async with MockServer(journal=hits, record=False) as mock:
            key = await asyncio.to_thread(furnish, home, mock.port)
            scene = _Scene(home, Crowd(home.port, key, users, seed, GOOD), hits)
            server = made.gateway(home, key)
            await asyncio.to_thread(wait_for, server, "/readyz")
            async with working(scene.crowd):
                await asyncio.sleep(AROUND)
                yield scene
                await asyncio.sleep(AROUND)
            await mock.idle(10)
            await asyncio.to_thread(come_to_rest, home)
            run.verdicts.append(await asyncio.to_thread(verdict, home))
            if code := await asyncio.to_thread(server.stop):
                run.verdicts.append(f"the stop ended with exit code {code}")
        rows = map(orjson.loads, home.run("ledger", "export", "--format", "jsonl").splitlines())
        run.statuses = Counter(told.status for told in scene.crowd.told)
        run.judgement = judge([told for told in scene.crowd.told if told.status != 503], scene.nonces(), rows)
