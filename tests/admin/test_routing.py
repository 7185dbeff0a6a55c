"""The routing table in the admin: one revision for each edit, credentials that go in and stay in, the way back."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from accounts.models import Team
from routing.models import Provider, Revision, Route, Target
from tests.admin import rows
from tests.admin.forms import Fields

pytestmark = pytest.mark.django_db
SECRET = "sk-very-secret-credential-9876"


@pytest.fixture
def root() -> Client:
    return rows.signed_in(rows.root())


def provider_form(**values: Any) -> dict[str, Any]:
    return {
        "name": "mock",
        "kind": "openai-compatible",
        "base_url": "https://llm.example.com/v1",
        "enabled": "on",
    } | values


def route_form(*targets: dict[str, Any], initial: int = 0, **values: Any) -> dict[str, Any]:
    form = {"name": "gpt-4o", "enabled": "on", "strategy": "weighted"}
    form |= {"targets-TOTAL_FORMS": len(targets), "targets-INITIAL_FORMS": initial}
    for number, target in enumerate(targets):
        known = {"model": "", "tier": "0", "weight": "1", "enabled": "on", "position": ""} | target
        form |= {f"targets-{number}-{name}": value for name, value in known.items()}
    return form | values


def revisions() -> list[Revision]:
    return list(Revision.objects.order_by("number"))


def test_it_publishes_one_revision_when_a_provider_is_added(root: Client) -> None:
    page = root.post(reverse("admin:routing_provider_add"), provider_form(why="A second account"), follow=True)
    (revision,) = revisions()
    assert (revision.author, revision.note) == ("root", "A second account")
    assert [each["name"] for each in revision.document["providers"]] == ["mock"]
    link = reverse("admin:routing_revision_change", args=[revision.number])
    assert f'Live in every process within a second: <a href="{link}">' in page.content.decode()


def test_it_publishes_a_route_with_all_its_targets_at_once(root: Client) -> None:
    one, two = rows.provider("one"), rows.provider("two")
    form = route_form({"provider": one.pk}, {"provider": two.pk, "model": "llama", "tier": "1", "weight": "3"})
    root.post(reverse("admin:routing_route_add"), form)
    (revision,) = revisions()
    (route,) = revision.document["routes"]
    assert [(each["provider"], each["model"], each["tier"], each["weight"]) for each in route["targets"]] == [
        ("one", "", 0, 1),
        ("two", "llama", 1, 3),
    ]


def test_it_keeps_the_order_that_targets_were_dragged_into(root: Client) -> None:
    one, two = rows.provider("one"), rows.provider("two")
    route = rows.route("gpt-4o", one, two)
    first, second = route.targets.all()
    form = route_form(
        {"id": first.pk, "route": route.pk, "provider": one.pk, "position": "1"},
        {"id": second.pk, "route": route.pk, "provider": two.pk, "position": "0"},
        {"provider": one.pk, "model": "spare"},
        initial=2,
    )
    root.post(reverse("admin:routing_route_change", args=[route.pk]), form)
    assert [str(each) for each in Target.objects.order_by("position", "id")] == [
        "two/gpt-4o",
        "one/gpt-4o",
        "one/spare",
    ]


def test_it_publishes_what_a_target_takes_from_its_own_page(root: Client) -> None:
    route = rows.route("gpt-4o", rows.provider("one"))
    target = route.targets.get()
    address = reverse("admin:routing_target_change", args=[target.pk])
    assert address in root.get(reverse("admin:routing_route_change", args=[route.pk])).content.decode()
    form = {"provider": target.provider_id, "model": "m", "tier": "0", "weight": "1", "enabled": "on", "share": "5"}
    form |= {"streaming": "any", "tools": "only", "images": "never", "json_schema": "any", "max_context": "8000"}
    form |= {"tag": "tier=gold", "idle_timeout": "9"}
    page = root.post(address, form, follow=True).content.decode()
    assert "tools only, images never, up to 8,000 tokens, tier=gold, canary 5 %, own time limits" in page
    (published,) = revisions()[-1].document["routes"][0]["targets"]
    assert (published["tools"], published["max_context"], published["share"]) == ("only", 8000, 5.0)


def test_it_takes_an_alias_and_a_teams_own_route(root: Client) -> None:
    rows.route("gpt-4o", rows.provider("one"))
    root.post(reverse("admin:routing_route_add"), route_form(name="smart", alias_of="gpt-4o"))
    root.post(reverse("admin:routing_route_add"), route_form(name="gpt-4o", team="red", alias_of="mini"))
    published = revisions()[-1].document["routes"]
    assert [(each["name"], each["team"], each["alias_of"]) for each in published] == [
        ("gpt-4o", "", ""),
        ("gpt-4o", "red", "mini"),
        ("smart", "", "gpt-4o"),
    ]
    loop = route_form(name="mini", alias_of="smart")
    page = root.post(reverse("admin:routing_route_add"), loop, follow=True).content.decode()
    assert "these aliases lead back to where they began" in page
    assert not Route.objects.filter(name="mini").exists()
    target = {"provider": Provider.objects.get().pk}
    page = root.post(reverse("admin:routing_route_add"), route_form(target, name="fast", alias_of="smart"))
    assert "none of its own" in page.content.decode()


def test_it_publishes_once_for_a_bulk_action_and_a_bulk_deletion(root: Client) -> None:
    made = [rows.provider(f"p{number}") for number in range(3)]
    root.post(reverse("admin:routing_provider_add"), provider_form())
    chosen = {"_selected_action": [each.pk for each in made]}
    root.post(reverse("admin:routing_provider_changelist"), {"action": "disable", **chosen})
    assert len(revisions()) == 2
    assert {each["name"]: each["enabled"] for each in revisions()[-1].document["providers"]} == {
        "mock": True,
        "p0": False,
        "p1": False,
        "p2": False,
    }
    root.post(reverse("admin:routing_provider_changelist"), {"action": "delete_selected", "post": "yes", **chosen})
    assert [revision.note for revision in revisions()][1:] == [
        "providers disabled: p0, p1, p2",
        "providers deleted: p0, p1, p2",
    ]


def test_it_publishes_a_deletion(root: Client) -> None:
    route = rows.route("gpt-4o", rows.provider())
    root.post(reverse("admin:routing_route_delete", args=[route.pk]), {"post": "yes"})
    (revision,) = revisions()
    assert revision.note == "route gpt-4o deleted"
    assert revision.document["routes"] == []


def test_it_says_so_when_nothing_changed(root: Client) -> None:
    root.post(reverse("admin:routing_provider_add"), provider_form())
    address = reverse("admin:routing_provider_change", args=[Provider.objects.get().pk])
    page = root.post(address, provider_form(), follow=True).content.decode()
    assert "The routing table is unchanged: revision" in page
    assert len(revisions()) == 1


def test_it_saves_nothing_that_cannot_be_published(root: Client) -> None:
    Route.objects.create(name="broken name with blanks")
    page = root.post(reverse("admin:routing_provider_add"), provider_form(), follow=True).content.decode()
    assert "Nothing was saved: the routing table cannot be published" in page
    assert not Provider.objects.exists()
    assert not revisions()


def restored(client: Client, address: str) -> str:
    """Look at what would change, restore, and return the page that follows."""
    seen = client.get(address).context["seen"]
    return client.post(address, {"seen": seen}, follow=True).content.decode()


def test_it_restores_an_earlier_revision_after_showing_what_changes(root: Client) -> None:
    root.post(reverse("admin:routing_provider_add"), provider_form())
    mock = Provider.objects.get()
    root.post(reverse("admin:routing_provider_change", args=[mock.pk]), provider_form(enabled=""))
    first, second = revisions()
    page = root.get(reverse("admin:routing_revision_change", args=[second.number])).content.decode()
    undo = reverse("admin:routing_revision_restore", args=[first.number])
    assert undo in page
    assert "<del>on</del>" in page and "<ins>off</ins>" in page
    page = restored(root, undo)
    assert f"Restored revision {first.number}" in page
    assert Provider.objects.get().enabled
    assert revisions()[-1].restored_from == first


def test_it_restores_no_address_for_a_credential_that_was_not_entered_for_it(root: Client) -> None:
    root.post(reverse("admin:routing_provider_add"), provider_form(credential=SECRET))
    address = reverse("admin:routing_provider_change", args=[Provider.objects.get().pk])
    root.post(address, provider_form(base_url="https://elsewhere.example.com/v1", credential="entered-again-1234"))
    moved = revisions()[-1]
    root.post(address, provider_form(credential=SECRET))
    page = restored(root, reverse("admin:routing_revision_restore", args=[moved.number]))
    assert "its credential belongs to the old address" in page
    mock = Provider.objects.get()
    assert (mock.base_url, mock.credential) == ("https://llm.example.com/v1", SECRET)


def test_only_a_superuser_restores_what_only_a_superuser_may_set(root: Client) -> None:
    root.post(reverse("admin:routing_provider_add"), provider_form(allow_private="on"))
    trusting = revisions()[-1]
    address = reverse("admin:routing_provider_change", args=[Provider.objects.get().pk])
    root.post(address, provider_form())
    ops = rows.signed_in(rows.person("olga", "ops"))
    undo = reverse("admin:routing_revision_restore", args=[trusting.number])
    assert "only a superuser may change allow private" in restored(ops, undo)
    assert not Provider.objects.get().allow_private
    restored(root, undo)
    assert Provider.objects.get().allow_private


def test_it_restores_only_on_post_with_a_token_and_for_those_who_publish(root: Client) -> None:
    root.post(reverse("admin:routing_provider_add"), provider_form())
    address = reverse("admin:routing_revision_restore", args=[revisions()[0].number])
    root.get(address)
    assert len(revisions()) == 1
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="root"))
    assert strict.post(address).status_code == 403
    assert rows.signed_in(rows.person("vera", "viewer")).post(address).status_code == 403
    olga = rows.signed_in(rows.person("olga", "ops"))
    assert olga.post(address, {"seen": "something else"}).status_code == 200
    assert len(revisions()) == 1
    assert "Nothing: this is what serves" in olga.get(address).content.decode()
    assert "Restored revision" not in restored(olga, address)  # there is nothing new to publish


def test_it_never_shows_a_credential_again(root: Client) -> None:
    added = root.post(
        reverse("admin:routing_provider_add"), provider_form(credential=SECRET, _continue="1"), follow=True
    )
    mock = Provider.objects.get()
    addresses = [
        reverse("admin:routing_provider_changelist"),
        reverse("admin:routing_provider_change", args=[mock.pk]),
        reverse("admin:routing_provider_history", args=[mock.pk]),
        reverse("admin:routing_revision_change", args=[revisions()[0].number]),
        reverse("admin:index"),
    ]
    pages = [added.content.decode(), *(root.get(address).content.decode() for address in addresses)]
    refused = root.post(addresses[1], provider_form(credential="other-secret-5555", kind="nonsense")).content.decode()
    assert "Select a valid choice" in refused
    for page in (*pages, refused):
        assert SECRET not in page
        assert "fernet:" not in page
        assert "other-secret-5555" not in page
    assert "…9876" in pages[2]
    assert Provider.objects.get().credential == SECRET


def test_it_keeps_replaces_and_forgets_a_credential(root: Client) -> None:
    root.post(reverse("admin:routing_provider_add"), provider_form(credential=SECRET))
    address = reverse("admin:routing_provider_change", args=[Provider.objects.get().pk])
    root.post(address, provider_form(note="untouched"))
    assert Provider.objects.get().credential == SECRET
    root.post(address, provider_form(credential="another-credential"))
    assert Provider.objects.get().credential == "another-credential"
    root.post(address, provider_form(forget="on"))
    assert not Provider.objects.get().has_stored_credential


def test_it_does_not_send_a_stored_credential_to_another_host(root: Client) -> None:
    root.post(reverse("admin:routing_provider_add"), provider_form(credential=SECRET))
    address = reverse("admin:routing_provider_change", args=[Provider.objects.get().pk])
    page = root.post(address, provider_form(base_url="https://elsewhere.example.com/v1")).content.decode()
    assert "The credential belongs to the old address" in page
    assert root.post(address, provider_form(base_url="https://llm.example.com/v2")).status_code == 302
    moved = provider_form(base_url="https://elsewhere.example.com/v1", credential="entered-again-1234")
    assert root.post(address, moved).status_code == 302
    assert Provider.objects.get().base_url == "https://elsewhere.example.com/v1"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://169.254.169.254/latest", "cloud metadata service"),
        ("http://127.0.0.1:11434/v1", "private address"),
        ("http://llm.example.com/v1", "unencrypted"),
        ("ftp://llm.example.com", "neither an https nor an http address"),
        ("javascript:alert(1)", "neither an https nor an http address"),
        ("https://user:pass@llm.example.com", "user name or password"),
    ],
)
def test_it_refuses_an_address_at_its_field(root: Client, address: str, why: str) -> None:
    page = root.post(reverse("admin:routing_provider_add"), provider_form(base_url=address))
    assert page.status_code == 200
    assert why in " ".join(page.context["adminform"].form.errors["base_url"])
    assert not Provider.objects.exists()


def test_it_shows_whether_a_variable_is_set(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCK_API_KEY", SECRET)
    rows.provider("there", credential_env="MOCK_API_KEY")
    rows.provider("absent", credential_env="NOBODY_SET_THIS")
    page = root.get(reverse("admin:routing_provider_changelist")).content.decode()
    assert "variable MOCK_API_KEY (set)" in page
    assert "variable NOBODY_SET_THIS (not set)" in page
    assert SECRET not in page


def test_it_leaves_the_way_out_of_the_house_to_superusers() -> None:
    olga = rows.signed_in(rows.person("olga", "ops"))
    form = provider_form(
        base_url="http://127.0.0.1:1/v1", allow_private="on", allow_insecure="on", credential_env="AWS_SECRET"
    )
    assert olga.post(reverse("admin:routing_provider_add"), form).status_code == 200
    assert (
        olga.post(reverse("admin:routing_provider_add"), form | {"base_url": "https://a.example.com"}).status_code
        == 302
    )
    made = Provider.objects.get()
    assert (made.allow_private, made.allow_insecure, made.credential_env) == (False, False, "")
    inside = rows.provider("inside", base_url="http://10.0.0.5/v1", allow_private=True)
    olga.post(
        reverse("admin:routing_provider_change", args=[inside.pk]),
        provider_form(name="inside", base_url="http://10.0.0.6/v1"),
    )
    inside.refresh_from_db()
    assert (inside.base_url, inside.allow_private) == ("http://10.0.0.5/v1", True)


def test_it_warns_of_a_route_that_leads_nowhere(root: Client) -> None:
    page = root.post(reverse("admin:routing_route_add"), route_form(), follow=True).content.decode()
    assert "Route gpt-4o has no target: who asks for it gets an error." in page


def test_it_never_changes_or_deletes_a_revision(root: Client) -> None:
    root.post(reverse("admin:routing_provider_add"), provider_form())
    number = revisions()[0].number
    assert root.post(reverse("admin:routing_revision_change", args=[number]), {"note": "forged"}).status_code == 403
    assert root.post(reverse("admin:routing_revision_delete", args=[number]), {"post": "yes"}).status_code == 403
    assert root.get(reverse("admin:routing_revision_add")).status_code == 403
    action = {"action": "delete_selected", "_selected_action": [number], "post": "yes"}
    root.post(reverse("admin:routing_revision_changelist"), action)
    assert revisions()[0].note == "provider mock added"


def test_a_target_offers_the_providers_that_fit_what_is_typed(root: Client) -> None:
    made = rows.route("gpt-4o", rows.provider("openai-eu"), rows.provider("lab"))
    page = root.get(reverse("admin:routing_route_change", args=[made.pk])).content.decode()
    assert 'data-field-name="provider"' in page and "admin-autocomplete" in page
    asked = {"app_label": "routing", "model_name": "target", "field_name": "provider"}
    found = root.get(reverse("admin:autocomplete"), asked | {"term": "op"}).json()["results"]
    assert [each["text"] for each in found] == ["openai-eu"]
    assert len(root.get(reverse("admin:autocomplete"), asked).json()["results"]) == 2


def test_an_action_on_what_is_no_row_gets_a_sentence(root: Client) -> None:
    sent = {"action": "set_tier", "_selected_action": "zz"}
    page = root.post(reverse("admin:routing_route_changelist"), sent, follow=True)
    assert page.status_code == 200
    assert "these are no rows of this list" in page.content.decode()


def test_it_tells_a_route_of_a_team_that_there_is_not() -> None:
    Team.objects.create(name="red")
    client = rows.signed_in(rows.person("olga", "ops"))
    address = reverse("admin:routing_route_add")
    for team, told in (("red", False), ("redd", True)):
        sent = Fields(client.get(address).content.decode()).sent | {"name": "own", "team": team}
        page = client.post(address, sent, follow=True)
        assert Route.objects.filter(team=team).exists()
        said = " ".join(str(message) for message in page.context["messages"])
        assert ("is for a team that there is not" in said) is told
