from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from accounts.models import RequestRecord
from accounts.store import export
from accounts.store.adjust import adjust
from accounts.store.ledger import adopt, drain, save_entries
from tests.accounts.making import NOON, attempt, cached, entry, journal, opened, raw, settled

pytestmark = pytest.mark.django_db


def by_id(rows: Iterator[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found = list(rows)
    assert len({row["id"] for row in found}) == len(found)
    return {row["id"]: row for row in found}


def test_it_writes_the_same_row_before_and_after_the_drain(tmp_path: Path) -> None:
    made = entry(
        attempt(number=1, status="failed", usage=None, usage_source="none", cost_status="none", cost_nano=0),
        attempt(number=2, usage={"input": 3, "cached_input": 4}),
        client_request_id="c",
        tags={"a": "b"},
    )
    with journal(tmp_path) as kept:
        kept.settle(made)
        before = by_id(export.rows(tmp_path))
        drain(kept)
        after = by_id(export.rows(tmp_path))
    assert before == after
    row = after[made.id]
    assert (row["client_request_id"], row["team"], row["key"], row["route"]) == ("c", "red", "abcd1234", "gpt-4o")
    assert (row["model"], row["status"], row["usage_source"], row["cost_nano"]) == (
        "gpt-4o",
        "settled",
        "provider",
        4_500_000,
    )
    assert (row["tokens"]["input"], row["tokens"]["cached_input"], row["tokens"]["output"]) == (3, 4, 0)
    assert [(each["provider"], each["status"], each["cost_nano"]) for each in row["attempts"]] == [
        ("openai", "failed", 0),
        ("openai", "settled", 4_500_000),
    ]
    assert row["at"] == "2025-11-20T12:00:00+00:00"


def test_it_is_complete_while_requests_run_and_after_a_crash(tmp_path: Path) -> None:
    stored, waiting, running, hit = settled(), settled(), opened(), cached()
    save_entries(raw(stored))
    with journal(tmp_path) as kept:
        kept.open(running)
        kept.settle(waiting)
        kept.settle(hit)
        states = {id: row["status"] for id, row in by_id(export.rows(tmp_path)).items()}
        assert states == {stored.id: "settled", waiting.id: "settled", running.id: "open", hit.id: "cached"}
    assert {id: row["status"] for id, row in by_id(export.rows(tmp_path)).items()} == states
    adopt(tmp_path)
    assert by_id(export.rows(tmp_path))[running.id]["status"] == "interrupted"


def test_it_has_each_row_once_when_it_is_drained_in_the_middle(tmp_path: Path) -> None:
    save_entries(raw(*(settled() for _ in range(3))))
    with journal(tmp_path) as kept:
        for _ in range(3):
            kept.settle(settled())
        rows = export.rows(tmp_path)
        first = next(rows)
        drain(kept)
        kept.sync()
        assert len({first["id"], *(row["id"] for row in rows)}) == 6


def test_it_pages_through_many_rows_of_the_same_moment(tmp_path: Path) -> None:
    save_entries(raw(*(settled(at=NOON + number // 700) for number in range(1500))))
    assert len(by_id(export.rows(tmp_path))) == 1500


def test_it_starts_where_it_is_told_to(tmp_path: Path) -> None:
    save_entries(raw(settled(), settled(at=NOON + 60)))
    with journal(tmp_path) as kept:
        kept.settle(settled())
        kept.settle(settled(at=NOON + 61))
        since = datetime.fromtimestamp(NOON + 60, UTC)
        found = by_id(export.rows(tmp_path, since))
    assert [row["at"][11:19] for row in found.values()] == ["12:01:00", "12:01:01"]


def test_it_shows_adjustments_beside_the_original(tmp_path: Path) -> None:
    save_entries(raw(settled()))
    adjust(RequestRecord.objects.get(), author="fin", reason="why", delta=-500, external_ref="CN")
    (row,) = export.rows(tmp_path)
    (adjustment,) = row["adjustments"]
    assert row["cost_nano"] == 4_500_000
    assert (adjustment["cost_nano_delta"], adjustment["author"], adjustment["external_ref"]) == (-500, "fin", "CN")
