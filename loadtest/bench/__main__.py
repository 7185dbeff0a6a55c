"""`python -m loadtest.bench [--quick] [--rounds N]`: measure, and print one table."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import uvloop

from loadtest import procfs
from loadtest.bench import machine, report
from loadtest.bench.cells import Bench
from loadtest.bench.machine import Cores, Neighbours
from loadtest.bench.rig import Home, Rig, Server, free_port, rig, wait_for
from loadtest.bench.run import CPU_CELLS, FULL, MODELS, PLAIN, QUICK, Field, Plan, measure
from loadtest.drive import once


def main() -> int:
    """Exit code 1 when an answer was missing or wrong; a missed target is for the reader to judge."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, under a minute")
    parser.add_argument("--rounds", type=int, help="more of them narrow the ranges")
    parser.add_argument("--workers", type=int, default=1, help="of the gateway; more than one are not pinned to a core")
    parser.add_argument("--database", default="", help="DATABASE_URL of the gateway; SQLite if not given")
    parser.add_argument("--without-gateway", action="store_true", help="only control and nginx, to look at the rig")
    asked = parser.parse_args()
    plan = QUICK if asked.quick else FULL
    if asked.rounds:
        plan = replace(plan, rounds=asked.rounds)
    cores = Cores.choose() if asked.workers == 1 else Cores(None, None)
    machine.pin(cores.others)
    quiet = machine.quietness()
    print(quiet, flush=True)
    with tempfile.TemporaryDirectory(prefix="qlite-bench-") as folder, rig(Path(folder), cores) as made:
        return _bench(made, plan, _home(made, asked), quiet, with_gateway=not asked.without_gateway)


def _bench(made: Rig, plan: Plan, home: Home, quiet: str, *, with_gateway: bool) -> int:
    started = time.perf_counter()
    mock = made.mock()
    control, nginx = made.control(mock), made.nginx(mock)
    single: dict[str, float] = {}
    key, gateway, budgeted = "", None, None
    if with_gateway:
        key = home.furnish(mock.where.port, MODELS)
        other = home.budgeted_key()
        gateway = made.gateway(home, key)
        budgeted = replace(gateway, where=replace(gateway.where, key=other))
        wait_for(gateway, "/healthz")
        single["memory after start, MB"] = _megabytes(gateway)
    bench = Bench(mock.where, Neighbours(made.cores), plan.repeats)
    figures = uvloop.run(measure(bench, Field(mock, control, nginx, gateway, budgeted), plan))
    ledger = ""
    if gateway is not None:
        single["memory after load, MB"] = _megabytes(gateway)
        ledger = _close(gateway, home)
        single |= _start_up(made, home, key, plan.starts)
    print("\n".join(_conditions(quiet, bench, plan, home, time.perf_counter() - started)))
    print("\n".join([*report.resolution(figures), *report.budgets(figures), report.samples(figures), ledger]))
    print(f"\n{report.table(figures, single)}")
    return _complain(bench.errors)


def _home(made: Rig, asked: argparse.Namespace) -> Home:
    folder = made.folder / "data"
    folder.mkdir()
    options: tuple[str, ...] = ("--workers", str(asked.workers)) if asked.workers > 1 else ()
    if options and not asked.database:
        options += ("--allow-sqlite-workers",)
    return Home(folder, free_port(), options, asked.database)


def _close(gateway: Server, home: Home) -> str:
    """Stop the gateway and let it account for what it did."""
    code = gateway.stop()
    home.run("ledger", "verify")
    return f"gateway ended with exit code {code}; `qlite ledger verify` finds nothing wrong"


def _start_up(made: Rig, home: Home, key: str, starts: int) -> dict[str, float]:
    """Seconds from exec to the first 200 and to the first answer, the mean of a few starts."""
    healthy, answered = 0.0, 0.0
    for _ in range(starts):
        gateway = made.gateway(home, key)
        healthy += wait_for(gateway, "/healthz") / starts
        uvloop.run(once(gateway.where, CPU_CELLS[PLAIN]))
        answered += (time.perf_counter() - gateway.started) / starts
        gateway.stop()
    return {"start to /healthz, s": healthy, "start to first answer, s": answered}


def _megabytes(server: Server) -> float:
    return procfs.memory(server.pids).own / 1e6


def _conditions(quiet: str, bench: Bench, plan: Plan, home: Home, seconds: float) -> list[str]:
    return [
        "",
        *machine.conditions(),
        f"{' '.join(['qlite serve', *home.options])} on {home.database.partition(':')[0] or 'sqlite'}",
        f"{plan.rounds} round(s), {seconds:.0f} s in all; mean of the rounds (lowest to highest)",
        quiet,
        bench.neighbours.sentence(),
        f"bodies against the mock's own: {', '.join(f'{n} {what}' for what, n in sorted(bench.bodies.items()))}",
    ]


def _complain(errors: Counter[str]) -> int:
    for what, count in errors.items():
        print(f"ERROR {what}: {count}", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
