"""Alerts: noticed once, for the right people, tried again, and signed."""

import hashlib
import hmac
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from accounts.alerts import PAUSES, Letter, pause, signature
from accounts.models import Budget, BudgetAlert, DailyTotal, Membership, Team
from accounts.store import alerts
from accounts.store.keys import make_key
from tests.accounts.test_together import together

USD = 10**9


def spent(usd: float, team: str = "red") -> None:
    DailyTotal.objects.create(day=timezone.localdate(), team=team, cost_nano=int(usd * USD))


def budget(**fields: object) -> Budget:
    team, _ = Team.objects.get_or_create(name="red")
    return Budget.objects.create(**{"team": team, "amount_nano": 100 * USD, "window": "month", **fields})


def reached() -> list[int]:
    return sorted(BudgetAlert.objects.values_list("percent", flat=True))


@pytest.mark.django_db
def test_a_threshold_is_noticed_once_in_each_window() -> None:
    budget()
    assert alerts.notice() == 0
    spent(79)
    assert [alerts.notice(), alerts.notice()] == [1, 0]
    DailyTotal.objects.update(cost_nano=100 * USD)
    assert alerts.notice() == 2
    assert reached() == [50, 80, 100]
    next_month = (timezone.now() + timedelta(days=32)).timestamp()
    assert alerts.notice(next_month) == 0


@pytest.mark.django_db
def test_a_changed_amount_is_reached_anew() -> None:
    row = budget(thresholds=[80])
    spent(90)
    assert alerts.notice() == 1
    row.amount_nano = 1000 * USD
    row.save()
    assert alerts.notice() == 0
    DailyTotal.objects.update(cost_nano=800 * USD)
    assert [alerts.notice(), alerts.notice()] == [1, 0]
    row.amount_nano = 100 * USD
    row.save()
    assert alerts.notice() == 0
    assert sorted(BudgetAlert.objects.values_list("amount_nano", flat=True)) == [100 * USD, 1000 * USD]


@pytest.mark.django_db
def test_what_ends_after_midnight_is_noticed_and_told_of_its_own_day(settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    for window in ("day", "month", "total"):
        budget(window=window, thresholds=[80])
    DailyTotal.objects.create(day=date(2026, 10, 31), team="red", cost_nano=80 * USD)
    midnight = datetime(2026, 10, 31, 23, tzinfo=UTC).timestamp()
    assert [alerts.notice(midnight + 7201), alerts.notice(midnight + 60), alerts.notice(midnight + 61)] == [1, 2, 0]
    told = {letter.window: letter.resets_at for letter in alerts.claim(("webhook",))}
    assert told == {"a day": "2026-11-01T00:00:00+01:00", "a month": "2026-11-01T00:00:00+01:00", "in total": ""}


@pytest.mark.django_db
def test_soft_budgets_alert_and_those_switched_off_or_without_thresholds_do_not() -> None:
    budget(hard=False, thresholds=[90])
    budget(window="day", active=False)
    budget(window="week", thresholds=[])
    spent(90)
    alerts.notice()
    assert reached() == [90]


@pytest.mark.django_db
def test_an_alert_goes_to_the_leads_and_to_who_wants_all_of_them() -> None:
    row = budget()
    for name, role in (("lea", "lead"), ("mia", "member")):
        user = User.objects.create_user(name, email=f"{name}@example.com")
        Membership.objects.create(team=row.team, user=user, role=role)
    spent(55)
    alerts.notice()
    letter = next(alerts.claim(("mail", "webhook"), ("ops@example.com",)))
    assert letter.to == ("lea@example.com", "ops@example.com")
    assert letter.left == ("mail", "webhook")
    assert letter.subject == "qlite: 50 % of the budget of team red is spent"
    assert "$55.00 of $100.00" in letter.text


@pytest.mark.django_db
def test_a_key_s_owner_is_told() -> None:
    team = Team.objects.create(name="red")
    User.objects.create_user("olga", email="olga@example.com")
    key, _ = make_key(team, "bot", owner="olga", monthly_budget_nano=USD)
    DailyTotal.objects.create(day=timezone.localdate(), key_id=key.id8, cost_nano=USD)
    alerts.notice()
    assert {letter.to for letter in alerts.claim(("mail",))} == {("olga@example.com",)}


@pytest.mark.django_db
def test_what_is_not_taken_is_tried_again_by_that_way_alone_until_it_is_given_up() -> None:
    budget(thresholds=[50])
    spent(55)
    alerts.notice()
    both = ("mail", "webhook")
    first = next(alerts.claim(both, ("ops@example.com",)))
    assert list(alerts.claim(both, ("ops@example.com",))) == []  # not due again yet
    alerts.told(first.id, ("mail",), "webhook: answered 500")
    for tries in range(2, len(PAUSES) + 2):
        BudgetAlert.objects.update(due_at=timezone.now())
        again = next(alerts.claim(both, ("ops@example.com",)))
        assert again.left == ("webhook",)
        alerts.told(again.id, (), "webhook: answered 500")
        assert BudgetAlert.objects.get().state == ("waiting" if pause(tries) else "failed")
    BudgetAlert.objects.update(due_at=timezone.now())
    assert list(alerts.claim(both)) == []


@pytest.mark.django_db
def test_what_was_taken_is_done_and_what_nobody_could_hear_says_so() -> None:
    budget(thresholds=[50])
    spent(55)
    alerts.notice()
    alerts.told(next(alerts.claim(("webhook",))).id, ("webhook",), "")
    row = BudgetAlert.objects.get()
    assert (row.state, row.told, row.trouble) == ("sent", ["webhook"], "")
    assert row.sent_at is not None
    budget(window="day", thresholds=[10])
    alerts.notice()
    assert list(alerts.claim(("mail",))) == []
    assert BudgetAlert.objects.get(percent=10).state == "unheard"


@pytest.mark.postgres
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="needs PostgreSQL")
@pytest.mark.django_db(transaction=True)
def test_of_many_processes_one_notices_and_one_sends() -> None:
    budget(thresholds=[50])
    spent(55)
    assert together(*[lambda: alerts.notice()] * 6) == []
    assert BudgetAlert.objects.count() == 1
    letters: list[Letter] = []
    assert together(*[lambda: letters.extend(alerts.claim(("webhook",)))] * 6) == []
    assert len(letters) == 1
    connection.close()


def test_the_message_is_signed_with_its_time() -> None:
    letter = Letter(7, "team red", "a month", "2026-11-01", 80, 81 * USD, 100 * USD, True, "", (), ("webhook",))
    body = letter.message()
    told = json.loads(body)
    assert (told["id"], told["threshold_percent"], told["spent_usd"]) == (7, 80, "81.000000000")
    expected = hmac.new(b"secret", b"1700000000." + body, hashlib.sha256).hexdigest()
    assert signature("secret", body, 1_700_000_000) == f"t=1700000000,v1={expected}"
