"""The pages of price lists and of models without a price."""

import json
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Adjustment, Price
from accounts.store import reprice
from accounts.store.ledger import save_entries
from accounts.store.pricelists import seed
from accounts.store.reprice import State
from accounts.store.waiting import waiting
from tests.accounts.making import NOON, attempt, entry, raw
from tests.admin import rows

pytestmark = pytest.mark.django_db
ROWS = {
    "gpt-9": {"litellm_provider": "openai", "input_cost_per_token": 2e-06},
    "mine": {"litellm_provider": "openai", "input_cost_per_token": 2e-06},
    "dall-e": {"litellm_provider": "openai", "output_cost_per_image": 0.04},
}


@pytest.fixture
def finance() -> Client:
    return rows.signed_in(rows.person("fiona", "finance"))


@pytest.fixture
def viewer() -> Client:
    return rows.signed_in(rows.person("vera", "viewer"))


def sent(client: Client, body: bytes) -> Any:
    file = BytesIO(body)
    file.name = "list.json"
    return client.post(reverse("admin:accounts_price_lists"), {"file": file})


def test_a_list_is_shown_before_it_is_taken_over(finance: Client) -> None:
    rows.price("mine", kind="openai", effective_from=timezone.now())
    page = sent(finance, json.dumps(ROWS).encode())
    text = page.content.decode()
    for words in (
        "1 new, 0 changed, 0 unchanged, 1 ignored",
        "gpt-9",
        "input 2",
        "finance set its own",
        "openai dall-e",
    ):
        assert words in text
    assert Price.objects.count() == 1
    taken = finance.post(reverse("admin:accounts_price_lists"), {"take": page.context["token"]}, follow=True)
    assert "Added 1 versions from LiteLLM" in taken.content.decode()
    made = Price.objects.get(model="gpt-9")
    assert (made.input, made.origin, made.created_by) == (2 * 10**9, "litellm", "fiona")
    again = finance.post(reverse("admin:accounts_price_lists"), {"take": page.context["token"]}, follow=True)
    assert "Added 0 versions" in again.content.decode()
    forged = finance.post(reverse("admin:accounts_price_lists"), {"take": page.context["token"] + "x"}, follow=True)
    assert "too old" in forged.content.decode()


def test_the_shipped_list_is_unchanged_after_it_was_seeded(finance: Client) -> None:
    seed()
    page = finance.get(reverse("admin:accounts_price_lists"))
    assert dict(page.context["counted"])["unchanged"] > 500
    assert not page.context["something"] and "Take over" not in page.content.decode()


@pytest.mark.parametrize("body", [b"", b"no", b"{}", b"\xff\xfe", b'{"prices": [1]}'])
def test_what_is_no_list_is_refused_with_a_sentence(finance: Client, body: bytes) -> None:
    page = sent(finance, body)
    assert page.status_code == 200
    assert any(word in page.content.decode() for word in ("This is no JSON", "no price list", "no text", "is wrong"))
    assert not Price.objects.exists()


def test_who_may_only_look_takes_over_nothing(viewer: Client, finance: Client) -> None:
    page = sent(viewer, json.dumps(ROWS).encode())
    assert page.status_code == 200 and "Take over" not in page.content.decode()
    token = sent(finance, json.dumps(ROWS).encode()).context["token"]
    assert viewer.post(reverse("admin:accounts_price_lists"), {"take": token}).status_code == 403
    stranger = rows.signed_in(rows.person("sid"))
    for name in ("lists", "waiting"):
        assert stranger.get(reverse(f"admin:accounts_price_{name}")).status_code == 403


def unpriced() -> None:
    facts = {"provider": "lab", "kind": "openai-compatible", "model": "new", "cost_status": "unpriced", "cost_nano": 0}
    save_entries(raw(*(entry(attempt(**facts, price_id=None)) for _ in range(3))))


def press(client: Client, do: str) -> str:
    given = {"provider": "lab", "model": "new", "do": do}
    return str(client.post(reverse("admin:accounts_price_waiting"), given, follow=True).content.decode())


def test_pricing_a_model_books_what_waits(finance: Client) -> None:
    unpriced()
    page = finance.get(reverse("admin:accounts_price_waiting"))
    assert "3 calls without a price from 2025-11-20" in " ".join(page.content.decode().split())
    form = finance.get(page.context["rows"][0]["add"]).context["adminform"].form
    assert (form["provider"].value(), form["model"].value()) == ("lab", "new")
    assert f"{form['effective_from'].value():%Y-%m-%d}" == "2025-11-20"
    posted = {"provider": "lab", "model": "new", "effective_from_0": "2025-11-20", "effective_from_1": "00:00:00"}
    saved = finance.post(reverse("admin:accounts_price_add"), posted | {"input": "1", "output": "2"}, follow=True)
    assert reverse("admin:accounts_price_waiting") in saved.content.decode().partition("Calls wait for a price")[2]
    assert "See what it comes to" in finance.get(reverse("admin:accounts_price_waiting")).content.decode()
    assert "Nothing is booked yet" in press(finance, "preview")
    job = waiting()[0].job
    assert job is not None
    reprice.run(job.pk)
    text = " ".join(finance.get(reverse("admin:accounts_price_waiting")).content.decode().split())
    assert "3 adjustments, $0.0042 together." in text or "3 adjustments, $0.004200000 together." in text, text
    assert not Adjustment.objects.exists()
    press(finance, "book")
    reprice.run(job.pk)
    assert sum(each.cost_nano_delta for each in Adjustment.objects.all()) == 3 * 1_400_000
    assert "Nothing waits" in finance.get(reverse("admin:accounts_price_waiting")).content.decode()
    assert "Nothing of it waits any more" in press(finance, "book")


def test_a_booking_can_be_left_for_later(finance: Client, viewer: Client) -> None:
    unpriced()
    rows.price("new", provider="lab", effective_from=datetime.fromtimestamp(NOON - 99999, UTC))
    given = {"provider": "lab", "model": "new", "do": "preview"}
    assert viewer.post(reverse("admin:accounts_price_waiting"), given).status_code == 403
    press(finance, "preview")
    job = waiting()[0].job
    assert job is not None and job.state == State.PREVIEWING
    press(finance, "stop")
    assert waiting()[0].job is None


def listed(client: Client, **query: str) -> list[str]:
    page = client.get(reverse("admin:accounts_price_changelist"), query)
    return [f"{each.model} {each.input}" for each in page.context["cl"].result_list]


def test_prices_are_listed_as_they_are_in_force(finance: Client) -> None:
    now = timezone.now()
    rows.price("a", effective_from=now - timedelta(days=9), input=1)
    rows.price("a", effective_from=now - timedelta(days=1), input=2, services={"batch": {"per_mille": 500}})
    rows.price("a", effective_from=now + timedelta(days=1), input=3)
    rows.price("b", effective_from=now - timedelta(days=1), input=4)
    assert listed(finance) == ["a 3", "a 2", "b 4"]
    assert listed(finance, state="in force") == ["a 2", "b 4"]
    assert listed(finance, state="planned") == ["a 3"]
    assert listed(finance, state="superseded") == ["a 1"]
    assert listed(finance, state="all", model__exact="a") == ["a 3", "a 2", "a 1"]
    assert listed(finance, state="nonsense") == listed(finance, state="all")
    page = finance.get(reverse("admin:accounts_price_changelist")).content.decode()
    assert "batch, a planned change" in page and "model__exact=a" in page


def test_a_price_shows_the_history_of_its_model(finance: Client) -> None:
    now = timezone.now()
    first = rows.price("a", effective_from=now - timedelta(days=9), input=10**9, created_by="ann")
    rows.price("a", effective_from=now + timedelta(days=1), input=2 * 10**9, created_by="bob")
    rows.price("b", effective_from=now, input=7 * 10**9)
    page = finance.get(reverse("admin:accounts_price_change", args=[first.pk])).content.decode()
    table = page.split("ql-history")[1].split("</table>")[0]
    assert "in force, ann" in table and "planned, bob" in table and "7.00" not in table


def test_a_provider_leads_to_a_price_for_all_its_models() -> None:
    root = rows.signed_in(rows.root())
    lab = rows.provider("lab")
    page = root.get(reverse("admin:routing_provider_change", args=[lab.pk])).content.decode()
    link = f"{reverse('admin:accounts_price_add')}?provider=lab&amp;model=%2A"
    assert link in page
    form = root.get(link.replace("&amp;", "&")).context["adminform"].form
    assert (form["provider"].value(), form["model"].value()) == ("lab", "*")
    posted = {"provider": "lab", "model": "*", "effective_from_0": "2026-11-01", "effective_from_1": "00:00:00"}
    root.post(reverse("admin:accounts_price_add"), posted | {"input": "0", "output": "0", "seconds": "500"})
    assert Price.objects.get().seconds == 500 * 10**9
    assert root.get(reverse("admin:routing_provider_add")).status_code == 200
