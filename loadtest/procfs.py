"""What Linux says about processes and the machine: CPU time, memory, load, time stolen by the host."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        found.append(queue.pop())
        queue += children.get(found[-1], [])
    return found


def children(pid: int) -> list[int]:
    """The processes that it has started and that still run."""
    states = {int(entry.name): _stat(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdigit()}
    return sorted(each for each, fields in states.items() if fields and fields[1] == str(pid) and fields[0] != "Z")


def age_seconds(pid: int) -> float:
    """How long a process has been running; 0 when it is gone."""
    fields = _stat(pid)
    since_boot = float((PROC / "uptime").read_text().split()[0])
    return since_boot - int(fields[19]) * TICK_SECONDS if fields else 0.0  # field 22 of proc(5)


def cpu_seconds(pids: list[int]) -> float:
    """User and system time of these processes and of their children that have been waited for."""
    # Fields 14 to 17 of proc(5), counted from the state, which is field 3.
    return sum(sum(int(field) for field in _stat(pid)[11:15]) for pid in pids) * TICK_SECONDS


def talking(pid: int, port: int) -> int:
    """How many callers are connected to this process at `port`."""
    lines = [line.split() for line in (PROC / "net/tcp").read_text().splitlines()[1:]]
    # Fields of /proc/net/tcp: local address, remote address, state (01: established), and the inode as the tenth.
    callers = {line[9] for line in lines if line[3] == "01" and line[1].endswith(f":{port:04X}")}
    return len(callers & set(_sockets(pid)))


def _sockets(pid: int) -> Iterator[str]:
    for link in (PROC / str(pid) / "fd").glob("*"):
        with suppress(OSError):  # closed meanwhile
            yield str(link.readlink()).removeprefix("socket:[").removesuffix("]")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; nothing when the process is gone."""
    try:
        # The name in parentheses may hold spaces and parentheses itself.
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes: `resident` as ps shows it, `own` with shared pages divided among those who share them."""

    resident: int
    own: int


def memory(pids: list[int]) -> Memory:
    """The memory of these processes together."""
    resident = sum(_kilobytes(pid, "status", "VmRSS:") for pid in pids) * 1024
    return Memory(resident, sum(_kilobytes(pid, "smaps_rollup", "Pss:") for pid in pids) * 1024)


def _kilobytes(pid: int, file: str, label: str) -> int:
    try:
        lines = (PROC / str(pid) / file).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(label)), 0)


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds that one core (or all of them) has spent since boot."""

    busy: float
    stolen: float
    total: float

    def since(self, earlier: "CpuTimes") -> "CpuTimes":
        return CpuTimes(self.busy - earlier.busy, self.stolen - earlier.stolen, self.total - earlier.total)


def cpu_times(core: int | None = None) -> CpuTimes:
    """Of one core, or of all together."""
    label = "cpu" if core is None else f"cpu{core}"
    lines = (PROC / "stat").read_text().splitlines()
    fields = next(line.split() for line in lines if line.split()[0] == label)
    user, nice, system, idle, iowait, irq, softirq, steal = (int(field) * TICK_SECONDS for field in fields[1:9])
    busy = user + nice + system + irq + softirq
    return CpuTimes(busy, steal, busy + idle + iowait + steal)


def processor() -> str:
    """The name of the processor."""
    lines = (PROC / "cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
