"""Alerts on their way out: by mail and webhook, on a thread that may wait."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from accounts.alerts import signature
from accounts.models import Budget, BudgetAlert, DailyTotal, Team
from accounts.store import alerts
from loadtest.mockserver import Answer, MockServer, in_thread
from qlite_site.post import Post, channels

pytestmark = pytest.mark.django_db


@pytest.fixture
def mock() -> Iterator[MockServer]:
    with in_thread() as made:
        yield made


@pytest.fixture
def post(settings: Any, mock: MockServer) -> Post:
    settings.EMAIL_URL = "memorymail://"
    settings.ALERT_EMAIL = ["ops@example.com"]
    settings.ALERT_WEBHOOK, settings.ALERT_WEBHOOK_SECRET = f"http://127.0.0.1:{mock.port}/alerts", "s" * 16
    Budget.objects.create(team=Team.objects.create(name="red"), amount_nano=100, window="day", thresholds=[80])
    DailyTotal.objects.create(day=timezone.localdate(), team="red", cost_nano=80)
    alerts.notice()
    return Post()


def delivered(post: Post) -> BudgetAlert:
    post.exchange()
    post.send()
    post.exchange()
    return BudgetAlert.objects.get()


def test_it_sends_a_mail_and_a_signed_message(post: Post, mock: MockServer) -> None:
    mock.script("/alerts", Answer(body=b"ok"))
    assert delivered(post).state == "sent"
    assert [(each.subject, each.to) for each in mail.outbox] == [
        ("qlite: 80 % of the budget of team red is spent", ["ops@example.com"])
    ]
    hit = mock.hits[-1]
    signed = hit.headers["x-qlite-signature"]
    at = int(signed.partition(",")[0].removeprefix("t="))
    assert signed == signature("s" * 16, hit.body, at)


@pytest.mark.parametrize("answer", [Answer(status=500), Answer(status=302, headers={"location": "/elsewhere"})])
def test_a_refusal_or_a_redirect_is_trouble_that_is_written_down(post: Post, mock: MockServer, answer: Answer) -> None:
    mock.script("/alerts", answer)
    row = delivered(post)
    assert (row.state, row.told, row.trouble) == ("waiting", ["mail"], f"webhook: answered {answer.status}")
    assert len(mock.hits) == 1


def test_it_calls_no_address_that_nobody_may_call(post: Post, settings: Any) -> None:
    settings.ALERT_WEBHOOK = "http://169.254.169.254/latest/meta-data"
    row = delivered(post)
    assert row.trouble == "webhook: The address of the alert webhook may not be called."


def test_without_ways_nothing_is_sent(settings: Any) -> None:
    settings.EMAIL_URL = settings.ALERT_WEBHOOK = ""
    assert channels() == ()
