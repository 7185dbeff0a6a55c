"""Finance reprices a period in the admin: preview, book, see; others only look."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.test import Client

from accounts.models import Adjustment, Price, Repricing
from accounts.store import reprice, roles
from accounts.store.ledger import save_entries
from accounts.store.verify import verify
from tests.accounts.making import raw, settled
from tests.pages.making import person, signed_in

pytestmark = pytest.mark.django_db
ADD = "/admin/accounts/repricing/add/"
WISH = {
    "since_0": "2025-11-20",
    "since_1": "00:00:00",
    "until_0": "2025-11-21",
    "until_1": "00:00:00",
    "provider": "openai",
    "model": "gpt-*",
    "reason": "new contract",
}


@pytest.fixture(autouse=True)
def spent() -> None:
    roles.ensure_roles()
    save_entries(raw(settled(), settled()))
    since = datetime(2020, 1, 1, tzinfo=UTC)
    Price.objects.create(model="*", effective_from=since, input=1_000_000_000, output=2_000_000_000)


def of(group: str) -> Client:
    return signed_in(person(f"{group}-person", group=group, is_staff=True))


def test_finance_sees_first_and_books_then(tmp_path: Path) -> None:
    client = of("finance")
    answer = client.post(ADD, WISH)
    job = Repricing.objects.get()
    page = f"/admin/accounts/repricing/{job.pk}/change/"
    assert (answer.status_code, answer.headers["location"]) == (302, page)
    assert (job.state, job.author, job.expected) == ("previewing", "finance-person", 2)
    assert 'http-equiv="refresh"' in client.get(page).content.decode()
    reprice.run(job.pk)
    shown = client.get(page).content.decode()
    assert "Book 2 adjustments" in shown
    assert "openai/gpt-4o" in shown
    assert "-$0.006200000" in shown
    assert not Adjustment.objects.exists()
    client.post(page, {"do": "apply"})
    reprice.run(job.pk)
    assert "http-equiv" not in client.get(page).content.decode()
    assert {each.author for each in Adjustment.objects.all()} == {"finance-person"}
    assert sum(each.cost_nano_delta for each in Adjustment.objects.all()) == -6_200_000
    client.post(page, {"do": "apply"})
    reprice.run(job.pk)
    assert Adjustment.objects.count() == 2
    assert verify(tmp_path) == []
    assert "done" in client.get("/admin/accounts/repricing/").content.decode()


def test_finance_can_leave_it() -> None:
    client = of("finance")
    client.post(ADD, WISH)
    job = Repricing.objects.get()
    reprice.run(job.pk)
    client.post(f"/admin/accounts/repricing/{job.pk}/change/", {"do": "stop"})
    job.refresh_from_db()
    assert job.state == "cancelled"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"until_0": "2025-11-19"}, "ends before it begins"),
        ({"model": "a*b"}, "only at the end"),
        ({"reason": ""}, "This field is required"),
    ],
)
def test_it_says_what_makes_no_sense(change: dict[str, str], sentence: str) -> None:
    answer = of("finance").post(ADD, WISH | change)
    assert sentence in answer.content.decode()
    assert not Repricing.objects.exists()


def test_others_only_look() -> None:
    of("finance").post(ADD, WISH)
    job = Repricing.objects.get()
    reprice.run(job.pk)
    page = f"/admin/accounts/repricing/{job.pk}/change/"
    for group in ("ops", "viewer"):
        client = of(group)
        assert client.get(ADD).status_code == 403
        assert "Book 2" not in client.get(page).content.decode()
        assert client.post(page, {"do": "apply"}).status_code == 403
    job.refresh_from_db()
    assert job.state == "ready"
