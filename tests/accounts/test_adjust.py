from datetime import date

import pytest
from django.db import IntegrityError, transaction

from accounts.models import Adjustment, DailyTotal, RequestRecord, Team
from accounts.store.adjust import AdjustmentRefused, adjust, standing
from accounts.store.ledger import save_entries
from accounts.store.recount import adjusted
from tests.accounts.making import raw, settled

pytestmark = pytest.mark.django_db
COST = 4_500_000


@pytest.fixture
def record() -> RequestRecord:
    for name in ("red", "blue"):
        Team.objects.create(name=name)
    save_entries(raw(settled(), settled(team="blue", cost_centre="b1")))
    return RequestRecord.objects.get(team="red")


def spent() -> dict[tuple[str, str], int]:
    rows = DailyTotal.objects.values_list("team", "cost_centre", "cost_nano", "adjusted_nano")
    return {(team, centre): cost + more for team, centre, cost, more in rows}


def test_it_books_a_new_amount_beside_the_original(record: RequestRecord) -> None:
    booked = adjust(record, author="fin", reason="billed twice", cost_nano=1_000)
    assert (booked.cost_nano_delta, booked.day, booked.team) == (1_000 - COST, date(2025, 11, 20), None)
    record.refresh_from_db()
    assert record.cost_nano == COST
    assert standing(record).cost_nano == 1_000
    assert spent() == {("red", "r1"): 1_000, ("blue", "b1"): COST}
    assert list(adjusted()) == []


def test_it_moves_what_a_record_costs_now_to_another_team(record: RequestRecord) -> None:
    adjust(record, author="fin", reason="rebate", delta=-500_000)
    adjust(record, author="fin", reason="theirs", team="blue", cost_centre="b1")
    assert spent() == {("red", "r1"): 0, ("blue", "b1"): 2 * COST - 500_000}
    adjust(record, author="fin", reason="ours after all", team="red", cost_centre="r2", cost_nano=7)
    assert spent() == {("red", "r1"): 0, ("blue", "b1"): COST, ("red", "r2"): 7}
    now = standing(record)
    assert (now.cost_nano, now.team, now.cost_centre, now.owner) == (7, "red", "r2", "ann")
    assert list(adjusted()) == []


def test_it_books_a_reference_once(record: RequestRecord) -> None:
    first = adjust(record, author="fin", reason="credit note", delta=-COST, external_ref="CN-1")
    again = adjust(record, author="fin", reason="credit note", delta=-COST, external_ref="CN-1")
    assert first == again
    assert Adjustment.objects.count() == 1
    assert spent()["red", "r1"] == 0
    with pytest.raises(AdjustmentRefused, match="another record"):
        adjust(RequestRecord.objects.get(team="blue"), author="fin", reason="x", delta=-1, external_ref=" CN-1 ")
    with pytest.raises(AdjustmentRefused, match="repricing"):
        adjust(record, author="fin", reason="x", delta=-1, external_ref=f"reprice:{record.pk}:1")


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": " ", "delta": 1},
        {"author": "", "delta": 1},
        {"delta": -COST - 1},
        {"cost_nano": -1},
        {"cost_nano": 1.5},
        {"cost_nano": 10**18},
        {"cost_nano": 1, "delta": 1},
        {"team": "nobody"},
        {"team": ""},
        {"cost_centre": "x" * 65},
        {"cost_nano": COST},
        {"team": "red"},
        {},
    ],
)
def test_it_refuses_what_makes_no_sense(record: RequestRecord, wrong: dict[str, object]) -> None:
    with pytest.raises(AdjustmentRefused):
        adjust(record, **{"author": "fin", "reason": "because", **wrong})  # type: ignore[arg-type]
    assert Adjustment.objects.count() == 0
    assert spent() == {("red", "r1"): COST, ("blue", "b1"): COST}


def test_it_never_changes_an_adjustment(record: RequestRecord) -> None:
    booked = adjust(record, author="fin", reason="x", delta=1)
    booked.reason = "y"
    with pytest.raises(IntegrityError, match="never change"), transaction.atomic():
        booked.save()
