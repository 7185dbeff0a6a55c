"""`kill -9` under load, a few times; `make torture` does it fifty times and more."""

from pathlib import Path

import pytest
import uvloop

from loadtest.torture.databases import postgres, programs
from loadtest.torture.run import Outcome, torture


def check(outcome: Outcome, kills: int) -> None:
    assert outcome.judgement.violations == []
    assert outcome.clean, outcome.verdicts
    assert outcome.kills == kills
    # It must have been worth something: whole answers, hits, and answers that a kill broke off.
    assert min(len(outcome.crowd.told), outcome.judgement.hits, outcome.crowd.broken) > 0
    assert outcome.judgement.by_status["interrupted"] > 0


def test_no_answer_and_no_hit_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    check(uvloop.run(torture(tmp_path / "torture", kills=3, users=12, seed=7)), 3)


@pytest.mark.skipif(programs() is None, reason="PostgreSQL is not installed")
def test_nor_when_one_of_several_workers_is_killed(tmp_path: Path) -> None:
    with postgres() as database:
        run = torture(tmp_path / "torture", kills=2, users=12, seed=7, workers=3, url=database.fresh())
        outcome = uvloop.run(run)
    check(outcome, 2)
    assert len(outcome.adoptions) == 2
