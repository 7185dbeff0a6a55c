"""Command line: kill a gateway under load and prove that no money was lost; exit code 1 where it was.

python -m loadtest.torture --kills 50
"""

import argparse
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

import uvloop

from loadtest.stats import percentile
from loadtest.torture.judge import NAMED
from loadtest.torture.run import Outcome, torture


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="how often the gateway is killed under load")
    parser.add_argument("--users", type=int, default=20, help="callers at a time")
    parser.add_argument("--seed", type=int, default=secrets.randbits(24), help="of the times and the mix")
    parser.add_argument("--keep", type=Path, help="a new folder for data, logs and the provider's journal, kept")
    asked = parser.parse_args()
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="qlite-torture-"))
    try:
        run = torture(folder, kills=asked.kills, users=asked.users, seed=asked.seed, say=_say)
        outcome = uvloop.run(run)
    finally:
        if asked.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    _say("")
    for name, value in table(outcome):
        print(f"{name:<44}{value:>24}")
    for violation in outcome.judgement.violations[:NAMED]:
        print(f"VIOLATION  {violation}")
    for verdict in outcome.verdicts:
        print(f"verify: {verdict.splitlines()[-1] if verdict else ''}")
    return 0 if outcome.clean else 1


def table(outcome: Outcome) -> list[tuple[str, str]]:
    """Names and figures, in the order in which they are read."""
    crowd, found = outcome.crowd, outcome.judgement
    complete = sum(told.status == 200 and told.complete for told in crowd.told)
    return [
        ("kill -9 under load / while starting", f"{outcome.kills} / {outcome.kills_while_starting}"),
        ("seconds from start to ready, median / longest", _spread(outcome.restarts)),
        ("questions asked", f"{crowd.asked}"),
        ("  answered whole, with cost", f"{complete}"),
        ("  answered whole, with an error", f"{len(crowd.told) - complete}"),
        ("  broken off by a kill", f"{crowd.broken}"),
        ("  no answer in a minute", f"{crowd.late}"),
        ("requests that reached the provider", f"{found.hits}"),
        ("records / attempts in the ledger", f"{found.rows} / {found.attempts}"),
        *((f"  {status}", f"{count}") for status, count in sorted(found.by_status.items())),
        ("attempts the provider never heard of", f"{found.unheard}"),
        ("nano-dollars told to callers", f"{found.told_nano}"),
        ("nano-dollars recorded for them", f"{found.recorded_nano}"),
        ("violations", f"{len(found.violations)}"),
        ("seed, seconds", f"{crowd.seed}, {outcome.seconds:.0f}"),
    ]


def _spread(seconds: list[float]) -> str:
    return f"{percentile(seconds, 50):.1f} / {max(seconds):.1f}"


def _say(line: str) -> None:
    sys.stderr.write(f"\r{line:<78}" if line else "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
