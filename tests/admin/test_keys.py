"""Keys and their requests in the admin: a secret is seen once, switching off counts, nobody decides for themselves."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.keys import fingerprint, well_formed
from accounts.models import ApiKey, DailyTotal, KeyRequest, Team
from routing import store
from tests.admin import rows
from tests.routing.tables import table

pytestmark = pytest.mark.django_db
KEY = re.compile(r"sk-ql_[0-9A-Za-z]{46}")
ADD = "admin:accounts_apikey_add"


@pytest.fixture
def ops() -> Client:
    return rows.signed_in(rows.person("olga", "ops"))


def key_form(team: Team, **values: Any) -> dict[str, Any]:
    return {"team": team.pk, "label": "crawler", "models": "", "expires_at_0": "", "expires_at_1": ""} | values


def test_it_shows_a_new_key_exactly_once(ops: Client) -> None:
    answer = ops.post(reverse(ADD), key_form(rows.team(), models="gpt-4o*\nstub\n", monthly_budget_nano="12.5"))
    page = answer.content.decode()
    (secret,) = set(KEY.findall(page))
    made = ApiKey.objects.get()
    assert well_formed(secret)
    assert made.digest == fingerprint(secret)
    assert (made.created_by, made.models, made.monthly_budget_nano) == ("olga", ["gpt-4o*", "stub"], 12_500_000_000)
    assert "no-store" in answer.headers["Cache-Control"]
    for name in ("change", "history"):
        assert secret not in ops.get(reverse(f"admin:accounts_apikey_{name}", args=[made.pk])).content.decode()
    for address in (reverse("admin:accounts_apikey_changelist"), reverse("admin:index")):
        assert secret not in ops.get(address).content.decode()
    kept = [session.get_decoded() for session in Session.objects.all()]
    logged = [(entry.object_repr, entry.change_message) for entry in LogEntry.objects.all()]
    assert secret not in f"{kept}{logged}{ops.cookies}{list(ApiKey.objects.values())}"


def test_it_makes_no_second_key_when_the_form_is_sent_again(ops: Client) -> None:
    form = key_form(rows.team())
    ops.post(reverse(ADD), form)
    again = ops.post(reverse(ADD), form).content.decode()
    assert "has a live key of this name" in again
    assert not KEY.search(again)
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("monthly_budget_nano", "-1", "below zero"),
        ("monthly_budget_nano", "NaN", "is not an amount in USD"),
        ("monthly_budget_nano", "1e99", "is too large"),
        ("models", "gpt-*-*", "more than one *"),
        ("models", "gpt 4", "is no model name"),
    ],
)
def test_it_refuses_what_makes_no_sense_at_its_field(ops: Client, field: str, value: str, why: str) -> None:
    page = ops.post(reverse(ADD), key_form(rows.team(), **{field: value}))
    assert why in " ".join(page.context["adminform"].form.errors[field])
    assert not ApiKey.objects.exists()


def test_it_takes_no_fields_that_it_does_not_show(ops: Client) -> None:
    forged = {
        "digest": "0" * 64,
        "id8": "AAAAAAAA",
        "last4": "0000",
        "created_by": "mallory",
        "last_used_at": "2020-01-01",
    }
    ops.post(reverse(ADD), key_form(rows.team(), **forged))
    made = ApiKey.objects.get()
    assert (made.digest, made.id8, made.created_by) != ("0" * 64, "AAAAAAAA", "mallory")
    other = rows.team("other")
    ops.post(reverse("admin:accounts_apikey_change", args=[made.pk]), key_form(other, label="renamed", digest="1" * 64))
    changed = ApiKey.objects.get()
    assert (changed.label, changed.team.name, changed.digest) == ("renamed", "search", made.digest)


def test_it_switches_keys_so_that_the_gateway_notices(ops: Client) -> None:
    made = rows.key(rows.team())
    before = made.updated_at
    for action, off in (("disable", True), ("enable", False)):
        ops.post(reverse("admin:accounts_apikey_changelist"), {"action": action, "_selected_action": [made.pk]})
        made.refresh_from_db()
        assert made.disabled is off
        assert made.disabled_by == ("olga" if off else "")
        assert made.updated_at > before
        before = made.updated_at


def test_it_switches_teams_so_that_the_gateway_notices(ops: Client) -> None:
    made = rows.team()
    before = made.updated_at
    ops.post(reverse("admin:accounts_team_changelist"), {"action": "disable", "_selected_action": [made.pk]})
    made.refresh_from_db()
    assert made.disabled
    assert made.updated_at > before


def test_it_never_deletes_a_key() -> None:
    root = rows.signed_in(rows.root())
    made = rows.key(rows.team())
    assert root.post(reverse("admin:accounts_apikey_delete", args=[made.pk]), {"post": "yes"}).status_code == 403
    everything = {"action": "delete_selected", "_selected_action": [made.pk], "post": "yes"}
    root.post(reverse("admin:accounts_apikey_changelist"), everything)
    root.post(reverse("admin:accounts_team_delete", args=[made.team_id]), {"post": "yes"})
    assert ApiKey.objects.filter(pk=made.pk).exists()


def test_it_keeps_the_name_of_a_team(ops: Client) -> None:
    made = rows.team()
    form = {"name": "other", "title": "New", "memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}
    ops.post(reverse("admin:accounts_team_change", args=[made.pk]), form)
    made.refresh_from_db()
    assert (made.name, made.title) == ("search", "New")


def decision(asked: KeyRequest, button: str, **values: Any) -> dict[str, Any]:
    known = {
        "granted_models": "gpt-4o",
        "granted_budget_nano": "5",
        "granted_expires_at_0": "",
        "granted_expires_at_1": "",
    }
    return known | {button: "1", "comment": ""} | values


def decide(client: Client, asked: KeyRequest, button: str, **values: Any) -> str:
    address = reverse("admin:accounts_keyrequest_change", args=[asked.pk])
    page = client.post(address, decision(asked, button, **values), follow=True).content.decode()
    asked.refresh_from_db()
    return page


def test_it_approves_what_was_asked_or_less(ops: Client) -> None:
    asked = rows.asked(rows.team(), rows.person("ann"))
    page = ops.get(reverse("admin:accounts_keyrequest_change", args=[asked.pk]))
    assert page.context["adminform"].form.initial["granted_budget_nano"] == 5_000_000_000
    decide(ops, asked, "_approve", granted_budget_nano="2", comment="Enough to start")
    assert (asked.state, asked.granted_budget_nano, asked.comment) == ("approved", 2_000_000_000, "Enough to start")
    assert asked.decided_by is not None
    assert asked.decided_by.username == "olga"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"granted_budget_nano": "6"}, "A larger budget was granted"),
        ({"granted_budget_nano": ""}, "A larger budget was granted"),
        ({"granted_models": "gpt-4o\no3"}, "More models were granted"),
        ({"granted_models": ""}, "More models were granted"),
    ],
)
def test_it_does_not_grant_more_than_was_asked(ops: Client, more: dict[str, str], why: str) -> None:
    asked = rows.asked(rows.team(), rows.person("ann"))
    assert why in decide(ops, asked, "_approve", **more)
    assert asked.state == "pending"


def test_it_rejects_with_a_reason(ops: Client) -> None:
    asked = rows.asked(rows.team(), rows.person("ann"))
    assert "Say why the request is rejected." in decide(ops, asked, "_reject")
    assert asked.state == "pending"
    decide(ops, asked, "_reject", comment="No purpose given")
    assert (asked.state, asked.comment) == ("rejected", "No purpose given")


def test_it_lets_nobody_decide_on_their_own_request() -> None:
    olga = rows.person("olga", "ops")
    asked = rows.asked(rows.team(), olga)
    address = reverse("admin:accounts_keyrequest_change", args=[asked.pk])
    assert "_approve" not in rows.signed_in(olga).get(address).content.decode()
    assert rows.signed_in(olga).post(address, decision(asked, "_approve")).status_code == 403
    root = rows.root()
    own = rows.asked(asked.team, root)
    decide(rows.signed_in(root), own, "_approve")
    asked.refresh_from_db()
    assert (asked.state, own.state) == ("pending", "pending")


def test_it_decides_once(ops: Client) -> None:
    asked = rows.asked(rows.team(), rows.person("ann"), expires_at=timezone.now() + timedelta(days=1))
    decide(ops, asked, "_reject", comment="no")
    address = reverse("admin:accounts_keyrequest_change", args=[asked.pk])
    assert ops.post(address, decision(asked, "_approve")).status_code == 403
    assert KeyRequest.objects.get().state == "rejected"


def test_it_shows_what_a_key_spent_this_month_and_of_how_much(ops: Client) -> None:
    made = rows.key(rows.team(), monthly_budget_nano=20_000_000_000)
    idle = rows.key(Team.objects.get(), "idle")
    day = timezone.localdate()
    DailyTotal.objects.create(day=day, team="search", key_id=made.id8, cost_nano=1_500_000_000, adjusted_nano=-1)
    page = ops.get(reverse("admin:accounts_apikey_changelist")).content.decode()
    assert re.findall(r'class="field-spent[^>]*>\s*([^<]+?)\s*<', page) == ["$0.00", "$1.499999999 of $20.00"]
    for key, spent in ((made, "$1.499999999 of $20.00"), (idle, "$0.00")):
        assert spent in ops.get(reverse("admin:accounts_apikey_change", args=[key.pk])).content.decode()


def test_it_says_nothing_of_a_grant_before_there_is_one(ops: Client) -> None:
    own = rows.asked(rows.team(), User.objects.get(username="olga"))
    page = ops.get(reverse("admin:accounts_keyrequest_change", args=[own.pk])).content.decode()
    assert "nobody on a request of their own" in page
    assert "granted" not in page.lower()


def test_it_says_which_models_of_a_key_nobody_serves(ops: Client) -> None:
    store.apply(table([{"name": "stub", "kind": "stub"}], [{"name": "chat", "targets": [{"provider": "stub"}]}]), "ann")
    page = ops.post(reverse(ADD), key_form(rows.team(), models="chat\nchaat\ngpt-*"))
    assert ApiKey.objects.get().models == ["chat", "chaat", "gpt-*"]
    assert KEY.search(page.content.decode())
    said = [str(message) for message in page.context["messages"]]
    assert said == ["No route serves chaat: as long as there is none, the key cannot use it."]
    assert said[0] in page.content.decode()
