"""The measurements: each takes a server, loads it for a moment and returns figures."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field, replace

from loadtest import procfs
from loadtest.bench.machine import Neighbours
from loadtest.bench.rig import Server
from loadtest.client.pulse import Pulse
from loadtest.client.request import Ask, Requests, Where
from loadtest.client.verdict import Verdict
from loadtest.drive import Pairs, Tally, closed_loop, once, paired

USERS = 20
# Work that a gateway does after its answers, such as moving its ledger, is part of their cost.
QUIET_SECONDS = 0.3
LONGEST_AFTERMATH = 4.0


@dataclass(slots=True)
class Bench:
    """What all measurements share: the mock, the watch over the machine, and everything that went wrong.

    `repeats` is how many disturbed cells may be measured again.
    """

    mock: Where
    neighbours: Neighbours
    repeats: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    bodies: Counter[str] = field(default_factory=Counter)

    async def cpu(self, server: Server, ask: Ask, seconds: float) -> float:
        """Microseconds of CPU time for each answer, aftermath included."""
        verdict = await self._verdict(ask)
        pids = server.pids
        self.neighbours.start()
        before = procfs.cpu_seconds(pids)
        tally = await closed_loop(Requests(server.where, ask), users=USERS, seconds=seconds, verdict=verdict)
        await _calm(pids)
        used = procfs.cpu_seconds(pids) - before
        self.neighbours.stop(used)
        self._note(server, ask, tally, verdict)
        return used / max(1, tally.answers) * 1e6

    async def added(self, server: Server, ask: Ask, seconds: float) -> tuple[Pairs, float]:
        """Pairs of direct and proxied answers, and the microseconds of CPU time that a proxied one took.

        Measured once more when somebody else needed the gateway's core meanwhile.
        """
        pairs, cpu, disturbed = await self._added(server, ask, seconds)
        if disturbed and self.neighbours.repeated < self.repeats:
            self.neighbours.repeated += 1
            pairs, cpu, _ = await self._added(server, ask, seconds)
        return pairs, cpu

    async def _added(self, server: Server, ask: Ask, seconds: float) -> tuple[Pairs, float, bool]:
        pids = server.pids
        self.neighbours.start()
        before = procfs.cpu_seconds(pids)
        pairs = await paired(Requests(self.mock, ask), Requests(server.where, ask), users=USERS, seconds=seconds)
        await _calm(pids)
        used = procfs.cpu_seconds(pids) - before
        # The mock does not run on the gateway's core.
        disturbed = server.where is not self.mock and self.neighbours.stop(used, paced=True)
        for what, count in pairs.errors.items():
            self.errors[f"{server.where.name} {ask.model}: {what}"] += count
        return pairs, used / max(1, pairs.asked) * 1e6, disturbed

    async def stalls(self, server: Server, ask: Ask, seconds: float) -> list[float]:
        """Seconds of the silences in a closed loop, our own absences taken off, the longest first.

        Measured once more, as latencies are: a neighbour on the core looks like a stall.
        """
        stalls, disturbed = await self._stalls(server, ask, seconds)
        if disturbed and self.neighbours.repeated < self.repeats:
            self.neighbours.repeated += 1
            stalls, _ = await self._stalls(server, ask, seconds)
        return stalls

    async def _stalls(self, server: Server, ask: Ask, seconds: float) -> tuple[list[float], bool]:
        pulse, verdict, requests = Pulse(), await self._verdict(ask), Requests(server.where, ask)
        pids = server.pids
        self.neighbours.start()
        before = procfs.cpu_seconds(pids)
        tally = await closed_loop(requests, users=USERS, seconds=seconds, verdict=verdict, pulse=pulse)
        # The mock does not run on the gateway's core.
        disturbed = server.where is not self.mock and self.neighbours.stop(procfs.cpu_seconds(pids) - before)
        self._note(server, ask, tally, verdict)
        return pulse.stalls(), disturbed

    async def _verdict(self, ask: Ask) -> Verdict:
        return Verdict((await once(self.mock, replace(ask, messages=False))).body, messages=ask.messages)

    def _note(self, server: Server, ask: Ask, tally: Tally, verdict: Verdict) -> None:
        for what, count in tally.errors.items():
            self.errors[f"{server.where.name}: {what}"] += count
        whose = "translated" if ask.messages else "fresh" if ask.unique else "cached"
        self.bodies.update({f"{whose} {judgement}": count for judgement, count in verdict.counts.items()})


async def _calm(pids: list[int]) -> None:
    """Wait until the processes hardly use any CPU."""
    over = time.perf_counter() + LONGEST_AFTERMATH
    while time.perf_counter() < over:
        before = procfs.cpu_seconds(pids)
        await asyncio.sleep(QUIET_SECONDS)
        if procfs.cpu_seconds(pids) - before <= 2 * procfs.TICK_SECONDS:
            return
