"""Hundreds who hang up at random points, and a database that goes away; `make torture` does both for longer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from loadtest.torture.away import away, full
from loadtest.torture.databases import Postgres, postgres, programs
from loadtest.torture.leave import leave

needs_postgres = pytest.mark.skipif(programs() is None, reason="PostgreSQL is not installed")


def test_everybody_who_hangs_up_is_recorded_and_pays_what_came(tmp_path: Path) -> None:
    run = uvloop.run(leave(tmp_path / "left", count=300, users=60, seed=11))
    assert run.leaving.violations == []
    assert run.clean, run.verdicts
    assert len(run.leavers.left) == 300
    # It must have been worth something: streams that were closed, answers that were whole, words that were read.
    assert min(run.leaving.closed, run.leaving.by_status["settled"], run.leaving.words_read) > 20


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    with postgres() as made:
        yield made


@needs_postgres
def test_calls_go_on_while_postgresql_hangs(cluster: Postgres, tmp_path: Path) -> None:
    run = uvloop.run(away(tmp_path / "away", cluster, seconds=3, users=8, seed=12))
    assert run.judgement.violations == []
    assert run.clean, run.verdicts
    assert set(run.statuses) == {200}
    assert run.waiting > 10


@needs_postgres
def test_a_full_journal_refuses_while_postgresql_hangs(cluster: Postgres, tmp_path: Path) -> None:
    run = uvloop.run(full(tmp_path / "full", cluster, users=8, seed=13))
    assert run.judgement.violations == []
    assert run.clean, run.verdicts
    assert run.refused > 0
