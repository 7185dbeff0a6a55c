"""The conditions of a run: what the machine is, how quiet it is, who else used the gateway's core meanwhile."""

import os
import platform
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from loadtest import procfs
from loadtest.procfs import CpuTimes

# Shares of all cores before the run, above which its figures should be taken with salt.
BUSY_LIMIT = 0.10
STOLEN_LIMIT = 0.02
# Share of the gateway's core that others may use in a cell before its latencies are worth nothing.
FOREIGN_LIMIT = 0.15
PACKAGES = ("django", "daphne", "twisted", "aiohttp", "uvloop", "orjson")


@dataclass(frozen=True, slots=True)
class Cores:
    """Where the processes run: the gateway on one core, mock and client on another; None without a second core."""

    gateway: int | None
    others: int | None

    @classmethod
    def choose(cls) -> "Cores":
        """The first two cores that we may use."""
        allowed = sorted(os.sched_getaffinity(0))
        return cls(allowed[1], allowed[0]) if len(allowed) > 1 else cls(None, None)


def conditions() -> list[str]:
    """Date, machine and versions, a line each."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"{procfs.processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}",
        f"Python {platform.python_version()}, " + ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
    ]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def quietness(seconds: float = 1.0) -> str:
    """Watch the idle machine for a moment and say in a sentence whether it is quiet."""
    before = procfs.cpu_times()
    time.sleep(seconds)
    spent = procfs.cpu_times().since(before)
    busy, stolen = spent.busy / spent.total, spent.stolen / spent.total
    figures = f"{busy:.0%} busy, {stolen:.1%} stolen by the host, load average {os.getloadavg()[0]:.2f}"
    if busy > BUSY_LIMIT or stolen > STOLEN_LIMIT:
        return f"NOT QUIET before the run: {figures}; do not quote these figures"
    return f"quiet before the run: {figures}"


@dataclass(slots=True)
class Neighbours:
    """Shares of time: `foreign` CPU on the gateway's core, `stolen` from it, and how busy the client's core was."""

    cores: Cores
    foreign: list[float] = field(default_factory=list)
    stolen: list[float] = field(default_factory=list)
    client: list[float] = field(default_factory=list)
    repeated: int = 0
    _before: tuple[CpuTimes, CpuTimes] | None = None

    def start(self) -> None:
        """Begin to watch one cell."""
        if self.cores.gateway is not None:
            self._before = procfs.cpu_times(self.cores.gateway), procfs.cpu_times(self.cores.others)

    def stop(self, used: float, *, paced: bool = False) -> bool:
        """End of the cell, in which the measured process used that many seconds of CPU. True when it was disturbed.

        Only in a `paced` cell does it matter how busy the client is: elsewhere it is as busy as the server is fast.
        """
        if self._before is None:
            return False
        gateway = procfs.cpu_times(self.cores.gateway).since(self._before[0])
        others = procfs.cpu_times(self.cores.others).since(self._before[1])
        self.foreign.append(max(0.0, gateway.busy - used) / gateway.total)
        self.stolen.append(gateway.stolen / gateway.total)
        if paced:
            self.client.append(others.busy / others.total)
        return max(self.foreign[-1], self.stolen[-1]) > FOREIGN_LIMIT

    def sentence(self) -> str:
        """What was seen over all cells."""
        if not self.foreign:
            return "nothing was pinned to a core: gateway, mock and client shared what there is"
        mean = sum(self.foreign) / len(self.foreign)
        return (
            f"others used {mean:.1%} of the gateway's core (at most {max(self.foreign):.1%} in one cell), "
            f"{max(self.stolen):.1%} was stolen at most; client and mock {max(self.client, default=0):.0%} of theirs; "
            f"{self.repeated} cells were measured again for that"
        )


def pin(core: int | None) -> None:
    """Keep this process and its children on one core."""
    if core is not None and sys.platform == "linux":
        os.sched_setaffinity(0, {core})
