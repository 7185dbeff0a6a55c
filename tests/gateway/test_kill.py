"""`kill -9` under load, three times; `make torture` does it fifty times and more."""

from pathlib import Path

import uvloop

from loadtest.torture.run import torture


def test_no_answer_and_no_hit_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    outcome = uvloop.run(torture(tmp_path / "torture", kills=3, users=12, seed=7))
    assert outcome.judgement.violations == []
    assert outcome.clean, outcome.verdicts
    assert outcome.kills == 3
    # It must have been worth something: whole answers, hits, and answers that a kill broke off.
    assert min(len(outcome.crowd.told), outcome.judgement.hits, outcome.crowd.broken) > 0
    assert outcome.judgement.by_status["interrupted"] > 0
