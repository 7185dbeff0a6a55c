"""Several workers on one PostgreSQL, one killed now and then: what it left is settled by another within seconds."""

import asyncio
import os
import random
import signal
import time
from pathlib import Path

from loadtest.bench.rig import Home, Server
from loadtest.procfs import age_seconds, children, talking

# The parent gives up where workers die as soon as they are started, so none is killed that is younger than this.
YOUNGEST_SECONDS = 5.5
PAUSE_SECONDS = (0.2, 1.5)
ORPHAN_SECONDS = 10.0


async def kill_one(server: Server, port: int, chance: random.Random) -> int:
    """Kill a worker that somebody is connected to, after a random pause, and return its process id."""
    await asyncio.sleep(chance.uniform(*PAUSE_SECONDS))
    while not (busy := _busy(server.process.pid, port)):
        await asyncio.sleep(0.1)
    victim = chance.choice(busy)
    os.kill(victim, signal.SIGKILL)
    return victim


def _busy(parent: int, port: int) -> list[int]:
    return [pid for pid in children(parent) if age_seconds(pid) > YOUNGEST_SECONDS and talking(pid, port)]


async def adopted(home: Home, victim: int) -> float:
    """Seconds until the journal of a dead worker was taken over and removed; gives up after a while."""
    started = time.monotonic()
    while time.monotonic() - started < 3 * ORPHAN_SECONDS:
        if not any(_is_of(path, victim) for path in (home.folder / "journal").iterdir()):
            break
        await asyncio.sleep(0.05)
    return time.monotonic() - started


def _is_of(path: Path, pid: int) -> bool:
    # <host>-<pid>-<boot>.<number>.journal
    return path.name.split(".")[0].rsplit("-", 2)[1] == str(pid)
