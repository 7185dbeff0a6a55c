"""Command line: torture a gateway under load and prove that no money was lost; exit code 1 where it was.

python -m loadtest.torture --kills 50          kill -9, again and again
python -m loadtest.torture --leave 10000       callers who hang up at random points
python -m loadtest.torture --away 30           the database held by somebody else, then a journal that fills up
python -m loadtest.torture --away 30 --postgres    the same with a PostgreSQL of our own that is stopped
"""

import argparse
import contextlib
import secrets
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop

from loadtest.torture import tables
from loadtest.torture.away import away, full
from loadtest.torture.databases import Database, Sqlite, postgres
from loadtest.torture.judge import NAMED
from loadtest.torture.leave import leave
from loadtest.torture.run import torture


def main() -> int:
    asked = _parser().parse_args()
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="qlite-torture-"))
    try:
        if asked.leave:
            return _leave(asked, folder)
        return _away(asked, folder) if asked.away else _kill(asked, folder)
    finally:
        if asked.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.torture", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50, help="how often the gateway is killed under load")
    parser.add_argument("--leave", type=int, default=0, metavar="COUNT", help="callers who leave at random points")
    parser.add_argument("--away", type=float, default=0, metavar="SECONDS", help="how long the database is away")
    parser.add_argument("--postgres", action="store_true", help="PostgreSQL, a server of its own, not SQLite")
    parser.add_argument("--workers", type=int, default=1, help="with --postgres: so many, one killed each time")
    parser.add_argument("--users", type=int, default=20, help="callers at a time")
    parser.add_argument("--seed", type=int, default=secrets.randbits(24), help="of the times and the mix")
    parser.add_argument("--keep", type=Path, help="a new folder for data, logs and the provider's journal, kept")
    return parser


def _kill(asked: argparse.Namespace, folder: Path) -> int:
    if asked.workers > 1 and not asked.postgres:
        raise SystemExit("More than one worker needs --postgres.")
    how = {"kills": asked.kills, "users": asked.users, "seed": asked.seed, "workers": asked.workers}
    made: contextlib.AbstractContextManager[Database] = (
        postgres() if asked.postgres else contextlib.nullcontext(Sqlite())
    )
    with made as database:
        outcome = uvloop.run(torture(folder, url=database.fresh(), say=_say, **how))
    return _told(tables.of_kills(outcome), outcome.judgement.violations, outcome.verdicts, clean=outcome.clean)


def _leave(asked: argparse.Namespace, folder: Path) -> int:
    run = uvloop.run(leave(folder, count=asked.leave, users=asked.users, seed=asked.seed, say=_say))
    return _told(tables.of_leavers(run), run.leaving.violations, run.verdicts, clean=run.clean)


def _away(asked: argparse.Namespace, folder: Path) -> int:
    made: contextlib.AbstractContextManager[Database] = (
        postgres() if asked.postgres else contextlib.nullcontext(Sqlite())
    )
    with made as database:
        how = {"users": asked.users, "seed": asked.seed}
        runs = [uvloop.run(away(folder / "away", database, seconds=asked.away, say=_say, **how))]
        runs.append(uvloop.run(full(folder / "full", database, say=_say, **how)))
    return max(_told(tables.of_away(run), run.judgement.violations, run.verdicts, clean=run.clean) for run in runs)


def _told(lines: tables.Lines, violations: Sequence[str], verdicts: Sequence[str], *, clean: bool) -> int:
    """Print what a run found, and return the exit code."""
    _say("")
    for name, value in lines:
        print(f"{name:<44}{value:>24}")
    for violation in violations[:NAMED]:
        print(f"VIOLATION  {violation}")
    for verdict in verdicts:
        print(f"verify: {verdict.splitlines()[-1] if verdict else ''}")
    return 0 if clean else 1


def _say(line: str) -> None:
    sys.stderr.write(f"\r{line:<78}" if line else "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
