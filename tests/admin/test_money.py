"""Prices and corrections in the admin: exact amounts, versions instead of edits, adjustments instead of overwriting."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Adjustment, DailyTotal, Price, RequestRecord
from routing import store
from tests.admin import rows
from tests.admin.forms import Fields

pytestmark = pytest.mark.django_db


@pytest.fixture
def finance() -> Client:
    return rows.signed_in(rows.person("fiona", "finance"))


def price_form(**values: Any) -> dict[str, Any]:
    known = {"model": "gpt-5", "effective_from_0": "2026-11-01", "effective_from_1": "00:00:00", "input": "1"}
    return known | values


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("2.5", 2_500_000_000),
        ("0.15", 150_000_000),
        (" 0.075 ", 75_000_000),
        ("0.000000001", 1),
        ("0", 0),
        ("1e-3", 1_000_000),
        ("999999999.999999999", 999_999_999_999_999_999),
    ],
)
def test_it_reads_a_price_to_the_nano(finance: Client, text: str, nano: int) -> None:
    assert finance.post(reverse("admin:accounts_price_add"), price_form(input=text)).status_code == 302
    made = Price.objects.get()
    assert (made.input, made.created_by) == (nano, "fiona")


PRICES_NOTHING = {
    ("", ""): "",
    ("house", ""): "",
    ("house", "openai-compatible"): "",
    ("new", ""): "",
    ("", "openai"): "",
    ("hosue", ""): "No provider is called hosue: as long as there is none, this prices nothing.",
    ("", "opnai"): "There is no kind opnai, so this prices nothing. The kinds are openai, ",
    ("house", "openai"): "The provider house is of kind openai-compatible, not openai, so this prices nothing.",
}


@pytest.mark.parametrize(("whose", "told"), PRICES_NOTHING.items(), ids=map(str, PRICES_NOTHING))
def test_it_says_that_a_price_is_for_nobody(finance: Client, whose: tuple[str, str], told: str) -> None:
    rows.provider("house")
    store.publish("ann")
    rows.provider("new")  # waits in the draft
    form = price_form(provider=whose[0], kind=whose[1])
    page = finance.post(reverse("admin:accounts_price_add"), form, follow=True)
    assert Price.objects.count() == 1
    said = [str(message) for message in page.context["messages"] if message.level_tag == "warning"]
    assert said == ([said[0]] if told else []) and told in " ".join(said)


@pytest.mark.parametrize(
    "text", ["-1", "NaN", "Infinity", "1e30", "0.0000000001", "1,5", "1.2.3", "0x10", "1_000", "$2", "١"]
)
def test_it_refuses_what_is_no_price(finance: Client, text: str) -> None:
    page = finance.post(reverse("admin:accounts_price_add"), price_form(input=text))
    assert "input" in page.context["adminform"].form.errors
    assert not Price.objects.exists()


def test_it_keeps_tiers_as_people_write_them(finance: Client) -> None:
    scales = {"tiers": "above 200,000: input 6", "services": "batch: 0.5\npriority: input 2, output 9"}
    page = finance.post(reverse("admin:accounts_price_add"), price_form(**scales))
    assert page.status_code == 302, page.context["adminform"].form.errors
    made = Price.objects.get()
    assert made.tiers == [{"above": 200_000, "amounts": {"input": 6 * 10**9}}]
    assert made.services["batch"] == {"per_mille": 500}
    shown = finance.get(reverse("admin:accounts_price_change", args=[made.pk])).content.decode()
    assert "above 200000: input 6\nbatch: 0.5\npriority: input 2, output 9" in shown
    again = finance.get(f"{reverse('admin:accounts_price_add')}?from={made.pk}").content.decode()
    assert "above 200000: input 6</textarea>" in again
    refused = finance.post(reverse("admin:accounts_price_add"), price_form(model="x", tiers="input 6"))
    assert "tiers" in refused.context["adminform"].form.errors


def test_it_shows_prices_as_they_were_entered(finance: Client) -> None:
    made = rows.price(input=2_500_000_000, cached_input=75_000_000, output=1)
    page = finance.get(reverse("admin:accounts_price_change", args=[made.pk])).content.decode()
    for text in ("2.50", "0.075", "0.000000001", "as output"):
        assert f"<td>{text}</td>" in page


def test_it_prefills_the_next_version_from_an_earlier_one(finance: Client) -> None:
    former = rows.price(kind="openai", cached_input=75_000_000)
    page = finance.get(reverse("admin:accounts_price_add"), {"from": former.pk})
    form = page.context["adminform"].form
    assert (form["model"].value(), form["kind"].value(), form["cached_input"].value()) == ("gpt-4o", "openai", "0.075")
    for nonsense in ("", "abc", "-1", "9" * 40, "12345"):
        assert finance.get(reverse("admin:accounts_price_add"), {"from": nonsense}).status_code == 200


def test_it_never_changes_a_price_and_deletes_only_a_planned_one(finance: Client) -> None:
    root = rows.signed_in(rows.root())
    past, planned = rows.price(), rows.price(effective_from=timezone.now() + timedelta(days=1))
    for client in (finance, root):
        assert client.post(reverse("admin:accounts_price_change", args=[past.pk]), price_form()).status_code == 403
        assert client.post(reverse("admin:accounts_price_delete", args=[past.pk]), {"post": "yes"}).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": [past.pk], "post": "yes"}
        client.post(reverse("admin:accounts_price_changelist"), chosen)
    past.refresh_from_db()
    assert past.input == 2_500_000_000
    assert finance.post(reverse("admin:accounts_price_delete", args=[planned.pk]), {"post": "yes"}).status_code == 302
    assert list(Price.objects.all()) == [past]


def test_a_second_person_approves_a_price(finance: Client, settings: Any) -> None:
    settings.PRICE_APPROVAL = True
    listed = reverse("admin:accounts_price_changelist")
    saved = finance.post(reverse("admin:accounts_price_add"), price_form(), follow=True)
    assert "once somebody else has approved it" in saved.content.decode()
    made = Price.objects.get()
    assert "waiting for approval" in finance.get(listed).content.decode()
    chosen = {"action": "approve", "_selected_action": [made.pk]}
    assert "is your own" in finance.post(listed, chosen, follow=True).content.decode()
    viewer = rows.signed_in(rows.person("vera", "viewer"))
    viewer.post(listed, chosen)
    made.refresh_from_db()
    assert made.approved_at is None
    other = rows.signed_in(rows.person("otto", "finance"))
    assert "Approved 1 versions." in other.post(listed, chosen, follow=True).content.decode()
    made.refresh_from_db()
    assert (made.approved_by, made.approved_at is None) == ("otto", False)
    page = finance.get(listed).content.decode()
    assert "waiting for approval" not in page and "Approve the selected" not in page
    planned = rows.price(effective_from=timezone.now() + timedelta(days=1), approved_at=timezone.now())
    waiting = rows.price(effective_from=timezone.now() + timedelta(days=2))
    for version, status in ((planned, 403), (waiting, 302)):
        gone = finance.post(reverse("admin:accounts_price_delete", args=[version.pk]), {"post": "yes"})
        assert gone.status_code == status
    assert "by otto" in finance.get(reverse("admin:accounts_price_change", args=[made.pk])).content.decode()


def correction(record: RequestRecord, **values: Any) -> dict[str, Any]:
    known = {
        "to_amount": "0.0038",
        "to_team": record.team,
        "to_cost_centre": record.cost_centre,
        "to_owner": record.owner,
        "reason": "Credit note 117",
        "external_ref": "",
        "seen": "",
    }
    return known | values


def correct(client: Client, record: RequestRecord, **values: Any) -> Any:
    """Send the form of a record's page, with what its inlines hold, as a browser does."""
    address = reverse("admin:accounts_requestrecord_change", args=[record.pk])
    held = Fields(client.get(address).content.decode()).sent
    return client.post(address, held | correction(record, **values))


def frozen(record: RequestRecord) -> dict[str, Any]:
    return dict(RequestRecord.objects.filter(pk=record.pk).values().get())


def test_it_books_a_correction_beside_the_untouched_record(finance: Client) -> None:
    record = rows.record()
    before = frozen(record)
    rows.team("billing")
    assert correct(finance, record, to_amount="0.003", to_team="billing").status_code == 302
    booked = Adjustment.objects.get()
    assert (booked.cost_nano_delta, booked.team, booked.cost_centre, booked.owner) == (-800_000, "billing", None, None)
    assert (booked.author, booked.reason, booked.day) == ("fiona", "Credit note 117", record.day)
    assert frozen(record) == before
    page = finance.get(reverse("admin:accounts_requestrecord_change", args=[record.pk])).content.decode()
    for text in ("$0.003800000", "-$0.000800000", "$0.003000000", "Credit note 117", "team billing"):
        assert text in page
    moved = {total.team: total.adjusted_nano for total in DailyTotal.objects.all()}
    assert moved == {"search": -3_800_000, "billing": 3_000_000}


def test_it_ignores_forged_fields_of_a_record(finance: Client) -> None:
    record = rows.record()
    before = frozen(record)
    correct(finance, record, to_amount="0.001", cost_nano="1", team="mallory", status="cached", id="other")
    assert frozen(record) == before
    assert Adjustment.objects.get().cost_nano_delta == 1_000_000 - 3_800_000


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"to_amount": "0.001", "reason": ""}, "reason"),
        ({"to_amount": "0.001", "reason": "   "}, "reason"),
        ({"to_amount": "-1"}, "to_amount"),
        ({"to_amount": ""}, "to_amount"),
        ({"to_team": "no-such-team"}, "to_team"),
        ({}, "__all__"),
        ({"to_amount": "0.001", "seen": "99"}, "__all__"),
    ],
)
def test_it_books_nothing_without_reason_or_change(finance: Client, values: dict[str, str], field: str) -> None:
    page = correct(finance, rows.record(), **values)
    assert page.status_code == 200
    assert field in page.context["adminform"].form.errors
    assert not Adjustment.objects.exists()


def test_it_books_a_reference_once(finance: Client) -> None:
    one, two = rows.record("0199-0001"), rows.record("0199-0002")
    correct(finance, one, to_amount="0.001", external_ref="CN-117")
    seen = str(Adjustment.objects.get().pk)
    for record, values in ((one, {"seen": seen}), (two, {})):
        page = correct(finance, record, to_amount="0.002", external_ref="CN-117", **values)
        assert "It is booked already" in page.content.decode()
    assert Adjustment.objects.count() == 1


def test_it_notices_that_somebody_corrected_meanwhile(finance: Client) -> None:
    record = rows.record()
    correct(finance, record, to_amount="0.001")
    page = correct(finance, record, to_amount="0.002")
    assert "Somebody corrected this record meanwhile" in page.content.decode()
    assert Adjustment.objects.count() == 1


def test_it_never_adds_changes_or_deletes_in_the_ledger() -> None:
    root = rows.signed_in(rows.root())
    made = rows.one_of_everything()
    for name in ("accounts_requestrecord", "accounts_adjustment", "accounts_dailytotal", "accounts_ledgerquarantine"):
        row = made[name]
        assert root.get(reverse(f"admin:{name}_add")).status_code == 403, name
        assert root.post(reverse(f"admin:{name}_add"), {"team": "x"}).status_code == 403, name
        assert root.post(reverse(f"admin:{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403, name
        chosen = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
        root.post(reverse(f"admin:{name}_changelist"), chosen)
        assert type(row).objects.filter(pk=row.pk).exists(), name
        if name != "accounts_requestrecord":
            changed = root.post(reverse(f"admin:{name}_change", args=[row.pk]), {"cost_nano": "1"})
            assert changed.status_code == 403, name
