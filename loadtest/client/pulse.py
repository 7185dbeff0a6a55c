"""Gaps: times in which nothing at all arrived, and which of them were our own fault."""

import asyncio
import time
from dataclasses import dataclass, field

NOTABLE = 0.003
_TICK = 0.001


@dataclass(frozen=True, slots=True)
class Gap:
    """A span on the clock of time.perf_counter, in seconds."""

    start: float
    end: float

    @property
    def length(self) -> float:
        return self.end - self.start

    def shared_with(self, other: "Gap") -> float:
        """Seconds that both spans cover."""
        return max(0.0, min(self.end, other.end) - max(self.start, other.start))


@dataclass(slots=True)
class Pulse:
    """Notes the silences on all connections together, and the moments at which this process itself did not run.

    In a closed loop without think time a busy server answers all the time, so a silence is a stall of the server, or of
    whoever should have listened. The second kind is told apart by a timer: when it fires late, we were the ones asleep.
    """

    silences: list[Gap] = field(default_factory=list)
    absences: list[Gap] = field(default_factory=list)
    _last: float = 0.0
    _timer: asyncio.Task[None] | None = None

    def beat(self, now: float) -> None:
        """Something arrived."""
        if self._last and now - self._last > NOTABLE:
            self.silences.append(Gap(self._last, now))
        self._last = now

    def start(self) -> None:
        """Watch our own loop from here on."""
        self._last = 0.0
        self._timer = asyncio.get_running_loop().create_task(self._tick())

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._last = 0.0

    async def _tick(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(_TICK)
            after = time.perf_counter()
            if after - before > NOTABLE:
                self.absences.append(Gap(before + _TICK, after))

    def stalls(self) -> list[float]:
        """Lengths in seconds of the silences, less the time that we were absent; the longest first."""
        left = [gap.length - sum(gap.shared_with(absence) for absence in self.absences) for gap in self.silences]
        return sorted((length for length in left if length > NOTABLE), reverse=True)
