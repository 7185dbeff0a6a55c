from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from accounts import demo
from accounts.ledger.entry import to_json
from accounts.ledger.pricing import pricing
from accounts.models import Adjustment, ApiKey, KeyRequest, LedgerQuarantine, Membership, RequestRecord, Team
from accounts.prices import Book
from accounts.store.verify import verify

UNTIL = 1_795_000_000.0


def run() -> str:
    out = StringIO()
    call_command("demo", stdout=out)
    return out.getvalue()


def test_it_invents_the_same_for_the_same_seed() -> None:
    free = pricing(Book())
    first, again = ([to_json(each) for each in demo.traffic(UNTIL, free)] for _ in range(2))
    assert first == again
    assert first != [to_json(each) for each in demo.traffic(UNTIL, free, seed=2)]
    assert 2500 < len(first) < 3500


def test_it_invents_thirty_days_up_to_the_given_moment() -> None:
    times = [each.at for each in demo.traffic(UNTIL, pricing(Book()))]
    assert UNTIL - 30 * 86400 <= min(times) < UNTIL - 28 * 86400
    assert UNTIL - 86400 * 2 < max(times) < UNTIL


@pytest.mark.django_db
def test_it_adds_marked_traffic_once(tmp_path: Path) -> None:
    assert "Added 2" in run() or "Added 3" in run()
    tables = (RequestRecord, Adjustment, ApiKey, KeyRequest, Membership, Team)
    counted = [table.objects.count() for table in tables]
    assert counted[0] > 2500
    assert "Added 0" in run()
    assert [table.objects.count() for table in tables] == counted
    assert not LedgerQuarantine.objects.exists()
    assert verify(tmp_path) == []
    rows = RequestRecord.objects.values_list("team", "cost_centre", "tags", "provider")
    for team, centre, tags, provider in rows:
        assert team in ("demo-research", "demo-support")
        assert (centre, tags) == ("DEMO", {"demo": "yes"})
        assert provider.startswith("demo-")
    assert set(RequestRecord.objects.values_list("status", flat=True)) == {"settled", "cached", "failed", "interrupted"}
    assert RequestRecord.objects.filter(cost_status="unpriced").exists()


@pytest.mark.django_db
def test_it_leaves_a_real_team_of_that_name_alone() -> None:
    Team.objects.create(name="demo-support", cost_centre="4711")
    with pytest.raises(CommandError, match="demo-support"):
        run()
    assert not RequestRecord.objects.exists()
    assert Team.objects.count() == 1
