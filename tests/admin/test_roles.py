"""Who may do what in the admin, by role: each list, each row, each form and each button."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from accounts.models import Adjustment, ApiKey, Price
from accounts.store.roles import ROLES, ensure_roles
from proxy.models import CacheEntry
from routing import store
from routing.models import Provider
from tests.admin import rows

pytestmark = pytest.mark.django_db

# For each list: who sees it, who adds to it, who may change and delete a row of it (superusers aside).
ALL = {"ops", "finance", "viewer"}
MATRIX: dict[str, tuple[set[str], set[str], set[str], set[str]]] = {
    "routing_provider": (ALL, {"ops"}, {"ops"}, {"ops"}),
    "routing_route": (ALL, {"ops"}, {"ops"}, {"ops"}),
    "routing_revision": (ALL, set(), set(), set()),
    "accounts_team": (ALL, {"ops"}, {"ops"}, {"ops"}),
    "accounts_apikey": (ALL, {"ops"}, {"ops"}, set()),
    "accounts_keyrequest": (ALL, set(), {"ops"}, set()),
    "accounts_budget": (ALL, {"ops"}, {"ops"}, {"ops"}),
    "accounts_budgetalert": (ALL, set(), set(), set()),
    "accounts_price": (ALL, {"finance"}, set(), set()),
    "accounts_requestrecord": (ALL, set(), {"finance"}, set()),
    "accounts_adjustment": (ALL, set(), set(), set()),
    "accounts_dailytotal": (ALL, set(), set(), set()),
    "accounts_ledgerquarantine": (ALL, set(), set(), set()),
    "proxy_cacheentry": ({"ops"}, set(), {"ops"}, {"ops"}),
    "auth_user": ({"ops"}, set(), set(), set()),
    "auth_group": (set(), set(), set(), set()),
}


@pytest.mark.parametrize("role", [*ROLES])
def test_it_opens_to_a_role_what_is_its_work(role: str) -> None:
    client, made = rows.signed_in(rows.person("somebody", role)), rows.one_of_everything()
    made["routing_revision"] = store.publish("root", "note")
    for name, (sees, adds, changes, deletes) in MATRIX.items():
        address = [made[name].pk]
        assert status(client, f"{name}_changelist") == allowed(role in sees), name
        assert status(client, f"{name}_change", address) == allowed(role in sees), name
        assert status(client, f"{name}_add") == allowed(role in adds), name
        assert status(client, f"{name}_delete", address) == allowed(role in deletes), name
        saved = client.post(reverse(f"admin:{name}_change", args=address), {"name": "forged", "to_amount": "1"})
        assert (saved.status_code != 403) == (role in changes), name


def status(client: Client, name: str, args: list[object] | None = None) -> int:
    return client.get(reverse(f"admin:{name}", args=args)).status_code


def allowed(yes: bool) -> int:
    return 200 if yes else 403


@pytest.mark.parametrize("role", ["finance", "viewer", "team-lead"])
def test_it_runs_no_bulk_action_for_those_who_only_look(role: str) -> None:
    client, made = rows.signed_in(rows.person("somebody", role)), rows.one_of_everything()
    for name, action in [
        ("routing_provider", "disable"),
        ("routing_provider", "delete_selected"),
        ("accounts_apikey", "disable"),
        ("accounts_team", "disable"),
        ("proxy_cacheentry", "purge"),
        ("proxy_cacheentry", "pin"),
    ]:
        chosen = {"action": action, "_selected_action": [made[name].pk], "post": "yes"}
        client.post(reverse(f"admin:{name}_changelist"), chosen)
    assert Provider.objects.get().enabled
    assert not ApiKey.objects.get().disabled
    entry = CacheEntry.objects.get()
    assert (entry.purged, entry.pinned) == (False, False)


def test_it_books_and_prices_only_for_finance() -> None:
    record = rows.record()
    ops = rows.signed_in(rows.person("olga", "ops"))
    form = {"to_amount": "0.001", "to_team": "search", "reason": "x"}
    assert ops.post(reverse("admin:accounts_requestrecord_change", args=[record.pk]), form).status_code == 403
    assert ops.post(reverse("admin:accounts_price_add"), {"model": "m", "input": "1"}).status_code == 403
    assert not Adjustment.objects.exists()
    assert not Price.objects.exists()


def test_it_lets_nobody_but_superusers_make_people_more_than_they_are() -> None:
    for role in ROLES:
        user = rows.person(f"the-{role}", role)
        rows.signed_in(user).post(
            reverse("admin:auth_user_change", args=[user.pk]), {"username": user.username, "is_superuser": "on"}
        )
        user.refresh_from_db()
        assert not user.is_superuser
        assert not user.user_permissions.exists()


def test_it_wants_a_token_on_every_form() -> None:
    root = rows.root()
    strict, made = Client(enforce_csrf_checks=True), rows.one_of_everything()
    strict.force_login(root)
    for name, row in made.items():
        for view, args in (("change", [row.pk]), ("delete", [row.pk]), ("changelist", [])):
            assert strict.post(reverse(f"admin:{name}_{view}", args=args), {"post": "yes"}).status_code == 403


def test_it_adds_missing_permissions_and_takes_none_away() -> None:
    ensure_roles()
    viewer = Group.objects.get(name="viewer")
    extra = Permission.objects.get(codename="delete_provider")
    viewer.permissions.add(extra)
    viewer.permissions.remove(Permission.objects.get(codename="view_route"))
    ensure_roles()
    held = set(viewer.permissions.values_list("codename", flat=True))
    assert {"delete_provider", "view_route"} <= held
    assert set(Group.objects.values_list("name", flat=True)) == {"ops", "finance", "team-lead", "viewer"}


def test_it_knows_every_permission_that_a_role_names() -> None:
    ensure_roles()
    for name, models in ROLES.items():
        granted = Group.objects.get(name=name).permissions.count()
        assert granted == sum(len(verbs.split()) for verbs in models.values()), name


def test_it_gives_people_their_roles_by_a_superuser() -> None:
    root, ann = rows.signed_in(rows.root()), rows.person("ann", staff=False)
    ops = Group.objects.get(name="ops")
    form = {"username": "ann", "is_active": "on", "is_staff": "on", "groups": [ops.pk], "user_permissions": ["1"]}
    assert root.post(reverse("admin:auth_user_change", args=[ann.pk]), form).status_code == 302
    ann.refresh_from_db()
    assert (ann.is_staff, ann.is_superuser) == (True, False)
    assert (list(ann.groups.all()), list(ann.user_permissions.all())) == ([ops], [])


def test_it_shows_ops_who_people_are_and_no_more() -> None:
    client, ann = rows.signed_in(rows.person("olga", "ops")), rows.person("ann", "viewer", password="correct horse")
    page = client.get(reverse("admin:auth_user_change", args=[ann.pk])).content.decode()
    assert "viewer" in page
    assert "pbkdf2" not in page
