"""Guessing a password stops after ten failures, for that account from that address, where it is changed too."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from qlite_site.models import LoginFailure
from qlite_site.throttle import SENTENCE
from tests.admin import rows

pytestmark = pytest.mark.django_db


def attempt(password: str, *, account: str = "olga", address: str = "192.0.2.1") -> str:
    """Try to sign in; returns the page's text, or "in"."""
    form = {"username": account, "password": password, "next": reverse("admin:index")}
    page = Client(REMOTE_ADDR=address).post(reverse("admin:login"), form)
    return "in" if page.status_code == 302 else page.content.decode()


def failed(count: int, *, ago: timedelta = timedelta()) -> None:
    """Write down failures of olga from the usual address."""
    for number in range(count):
        at = timezone.now() - ago - timedelta(seconds=number)
        LoginFailure.objects.create(account="olga", address="192.0.2.1", at=at)


def test_it_locks_after_ten_failures_even_for_the_right_password() -> None:
    rows.person("olga", "ops", password="correct horse")
    failed(9)
    assert SENTENCE not in attempt("wrong")
    assert SENTENCE in attempt("wrong")
    assert SENTENCE in attempt("correct horse")
    assert LoginFailure.objects.count() == 10


def test_it_locks_that_account_from_that_address_only() -> None:
    rows.person("olga", "ops", password="correct horse")
    rows.person("fiona", "finance", password="correct horse")
    failed(10)
    assert attempt("correct horse", account="fiona") == "in"
    assert attempt("correct horse", address="192.0.2.2") == "in"


def test_it_opens_again_after_a_quarter_of_an_hour() -> None:
    rows.person("olga", "ops", password="correct horse")
    failed(10, ago=timedelta(minutes=15))
    assert attempt("correct horse") == "in"


def test_it_forgives_failures_once_the_password_was_right() -> None:
    rows.person("olga", "ops", password="correct horse")
    failed(9)
    assert attempt("correct horse") == "in"
    assert SENTENCE not in attempt("wrong")
    assert attempt("correct horse") == "in"
    assert LoginFailure.objects.count() == 10


def test_it_says_nothing_about_who_exists() -> None:
    rows.person("olga", "ops", password="correct horse")
    for account in ("olga", "nobody"):
        for _ in range(2):
            page = attempt("wrong", account=account)
            assert "Please enter the correct username and password" in page
    assert set(LoginFailure.objects.values_list("account", flat=True)) == {"olga", "nobody"}


def test_it_takes_any_text_for_a_name() -> None:
    for account in ("x" * 5000, "a\0b", "'; DROP TABLE", "%"):
        assert attempt("wrong", account=account) != "in"


def test_the_other_door_says_so_too() -> None:
    rows.person("olga", "ops", password="correct horse")
    failed(10)
    form = {"username": "olga", "password": "correct horse"}
    page = Client(REMOTE_ADDR="192.0.2.1").post(reverse("login"), form).content.decode()
    assert SENTENCE in page
    assert "correct username and password" not in page  # they may be correct


def changing(old: str, client: Client) -> str:
    """Try to change olga's password; returns the page's text, or "changed"."""
    form = {"old_password": old, "new_password1": "battery staple", "new_password2": "battery staple"}
    page = client.post(reverse("password_change"), form, REMOTE_ADDR="192.0.2.1")
    return "changed" if page.status_code == 302 else page.content.decode()


def test_a_password_is_not_guessed_where_it_is_changed() -> None:
    client = rows.signed_in(rows.person("olga", "ops", password="correct horse"))
    failed(9)
    assert "Your old password was entered incorrectly" in changing("wrong", client)
    assert SENTENCE in changing("correct horse", client)
    assert SENTENCE in attempt("correct horse")
    assert LoginFailure.objects.count() == 10


def test_a_password_is_changed_after_a_few_failures() -> None:
    client = rows.signed_in(rows.person("olga", "ops", password="correct horse"))
    failed(9)
    assert changing("correct horse", client) == "changed"
    assert attempt("battery staple") == "in"
    assert not LoginFailure.objects.filter(counts=True).exists()


def test_the_admin_has_no_other_page_for_it() -> None:
    client = rows.signed_in(rows.person("olga", "ops"))
    assert client.get(reverse("admin:password_change")).headers["location"] == reverse("password_change")
