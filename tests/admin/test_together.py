"""Two people at the same provider, route or target: nothing that one saved is overwritten unseen."""

import re
import threading
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from routing import store
from routing.models import Breaker, DraftEdit, Provider, Revision, Route, Target
from tests.admin import rows
from tests.admin.test_routing import provider_form, route_form

pytestmark = pytest.mark.django_db


@pytest.fixture
def olga() -> Client:
    """Ops, with a published route `gpt-4o` to the providers `one` and `two`."""
    rows.route("gpt-4o", rows.provider("one"), rows.provider("two"))
    store.publish("setup")
    return rows.signed_in(rows.person("olga", "ops"))


@pytest.fixture
def otto(olga: Client) -> Client:
    return rows.signed_in(rows.person("otto", "ops"))


def opened(client: Client, row: Any, **values: Any) -> dict[str, Any]:
    """The change form of a row as a browser holds it after somebody opened it and typed `values`."""
    page = client.get(address(row)).content.decode()
    (seen,) = re.findall(r'name="seen" value="([^"]+)"', page)
    if isinstance(row, Provider):
        return provider_form(name=row.name, seen=seen) | values
    if isinstance(row, Target):
        fields = ("model", "tier", "weight", "streaming", "tools", "images", "json_schema", "tag")
        held = {name: getattr(row, name) for name in fields}
        return {**held, "provider": row.provider_id, "enabled": "on", "seen": seen} | values
    targets = [
        {"id": each.pk, "route": row.pk, "provider": each.provider_id, "weight": each.weight, "position": number}
        for number, each in enumerate(row.targets.all())
    ]
    known = {"strategy": row.strategy, "description": row.description, "cache_ttl": row.cache_ttl or "", "seen": seen}
    return route_form(*targets, initial=len(targets)) | known | values


def address(row: Any) -> str:
    return reverse(f"admin:routing_{row._meta.model_name}_change", args=[row.pk])


def route() -> Route:
    return Route.objects.get()


def weights() -> dict[str, int]:
    return {each.provider.name: each.weight for each in route().targets.all()}


def choose(client: Client, answer: Any, which: str) -> Any:
    """Press one of the buttons of the page that shows both."""
    assert answer.status_code == 409
    return client.post(answer.context["action"], {"apply": answer.context[f"apply_{which}"]}, follow=True)


def test_it_saves_a_form_that_nobody_overtook(olga: Client) -> None:
    assert olga.post(address(route()), opened(olga, route(), cache_ttl="60")).status_code == 302
    assert route().cache_ttl == 60


def test_it_shows_both_and_brings_them_together(olga: Client, otto: Client) -> None:
    stale = opened(olga, route(), cache_ttl="60", why="slower", **{"targets-1-weight": "7"})
    otto.post(address(route()), opened(otto, route(), description="theirs", **{"targets-0-weight": "5"}))
    before = Revision.objects.count()
    answer = olga.post(address(route()), stale)
    page = answer.content.decode()
    assert "Nothing was saved" in page and "by <strong>otto</strong>" in page
    assert "theirs" in page and "<ins>60</ins>" in page
    assert (route().cache_ttl, route().description, Revision.objects.count()) == (None, "theirs", before)
    after = choose(olga, answer, "both").content.decode()
    assert "Live in every process within a second" in after
    assert (route().cache_ttl, route().description, weights()) == (60, "theirs", {"one": 5, "two": 7})
    latest = store.latest()
    assert latest is not None and (latest.author, latest.note) == ("olga", "slower")


def test_it_names_what_both_changed_and_lets_mine_win_only_when_told(olga: Client, otto: Client) -> None:
    stale = opened(olga, route(), cache_ttl="60")
    otto.post(address(route()), opened(otto, route(), cache_ttl="90", description="theirs"))
    answer = olga.post(address(route()), stale)
    assert (
        "route gpt-4o: cache ttl was changed on both sides"
        in answer.content.decode().replace("gpt-4o: ", "route gpt-4o: ", 1)
        or answer.context["clashes"]
    )
    choose(olga, answer, "both")
    assert (route().cache_ttl, route().description) == (90, "theirs")
    choose(olga, olga.post(address(route()), stale), "mine")
    assert (route().cache_ttl, route().description) == (60, "")


def test_it_shows_it_again_when_somebody_is_faster_once_more(olga: Client, otto: Client) -> None:
    stale = opened(olga, route(), cache_ttl="60")
    otto.post(address(route()), opened(otto, route(), description="theirs"))
    answer = olga.post(address(route()), stale)
    otto.post(address(route()), opened(otto, route(), description="theirs again"))
    again = choose(olga, answer, "mine")
    assert route().description == "theirs again"
    choose(olga, again, "both")
    assert (route().cache_ttl, route().description) == (60, "theirs again")


def test_it_minds_targets_that_were_removed_added_or_written_anew(olga: Client, otto: Client) -> None:
    stale = opened(olga, route(), **{"targets-0-weight": "9"})
    table = store.draft()
    table["routes"][0]["targets"] = [
        {**table["routes"][0]["targets"][0], "tools": "only"},
        {"provider": "two", "model": "other"},
    ]
    store.apply(table, "command line")
    answer = olga.post(address(route()), stale)
    choose(olga, answer, "both")
    found = [(str(each), each.weight, each.tools) for each in route().targets.all()]
    assert found == [("one/gpt-4o", 9, "only"), ("two/other", 1, "any")]


def test_it_saves_over_rows_that_were_written_anew_and_say_the_same(olga: Client) -> None:
    sent = opened(olga, route(), **{"targets-1-weight": "9"})
    table = store.draft()
    store.apply({"routes": [{**table["routes"][0], "targets": []}]}, "command line")
    store.apply(table, "command line")
    assert olga.post(address(route()), sent).status_code == 302
    assert weights() == {"one": 1, "two": 9}


def test_it_minds_a_target_edited_on_its_own_page(olga: Client, otto: Client) -> None:
    target = route().targets.first()
    stale = opened(olga, target, tools="only")
    otto.post(address(route()), opened(otto, route(), **{"targets-0-weight": "5"}))
    choose(olga, olga.post(address(target), stale), "both")
    target = route().targets.first()
    assert target is not None and (target.weight, target.tools) == (5, "only")


def test_it_minds_providers_and_their_credentials(olga: Client, otto: Client) -> None:
    one = Provider.objects.get(name="one")
    stale = opened(olga, one, note="mine", credential="sk-of-olga-1234")
    otto.post(address(one), opened(otto, one, credential="sk-of-otto-1234", base_url="https://llm.example.com/v2"))
    answer = olga.post(address(one), stale)
    page = answer.content.decode()
    assert "A new credential was entered" in page and "enter it again in the form" in page
    assert "sk-of-olga" not in page and "sk-of-otto" not in page
    choose(olga, answer, "both")
    one.refresh_from_db()
    assert (one.note, one.base_url, one.credential) == ("mine", "https://llm.example.com/v2", "sk-of-otto-1234")


def test_it_takes_no_credential_to_an_address_that_it_was_not_entered_for(olga: Client, otto: Client) -> None:
    one = Provider.objects.get(name="one")
    stale = opened(olga, one, base_url="https://elsewhere.example.com/v1", credential="sk-of-olga-1234")
    otto.post(address(one), opened(otto, one, credential="sk-of-otto-1234"))
    answer = olga.post(address(one), stale)
    for choice in ("mine", "both"):
        page = olga.post(answer.context["action"], {"apply": answer.context[f"apply_{choice}"]}, follow=True)
        assert "its credential belongs to the old address" in page.content.decode()
        one.refresh_from_db()
        assert (one.base_url, one.credential) == ("https://llm.example.com/v1", "sk-of-otto-1234")


def test_it_shows_the_form_again_where_that_has_errors(olga: Client, otto: Client) -> None:
    stale = opened(olga, route(), name="two words")
    otto.post(address(route()), opened(otto, route(), description="theirs"))
    page = olga.post(address(route()), stale).content.decode()
    assert "Somebody changed gpt-4o since you opened it" in page and "blanks or control characters" in page
    assert route().description == "theirs"


def test_it_takes_no_choice_that_was_made_for_somebody_or_something_else(olga: Client, otto: Client) -> None:
    stale = opened(olga, route(), cache_ttl="60")
    otto.post(address(route()), opened(otto, route(), description="theirs"))
    answer = olga.post(address(route()), stale)
    for client, apply in (
        (otto, answer.context["apply_mine"]),
        (olga, "forged"),
        (olga, answer.context["apply_mine"] + "x"),
    ):
        assert client.post(answer.context["action"], {"apply": apply}).status_code == 403
    vera = rows.signed_in(rows.person("vera", "viewer"))
    assert vera.post(answer.context["action"], {"apply": answer.context["apply_mine"]}).status_code == 403
    assert route().cache_ttl is None


def test_it_keeps_the_choice_as_a_draft_in_review_mode(olga: Client, otto: Client, settings: Any) -> None:
    settings.ROUTING_REVIEW = True
    stale = opened(olga, route(), cache_ttl="60")
    otto.post(address(route()), opened(otto, route(), description="theirs"))
    assert [each.author for each in DraftEdit.objects.all()] == ["otto"]
    choose(olga, olga.post(address(route()), stale), "both")
    assert [each.author for each in DraftEdit.objects.all()] == ["otto", "olga"]
    assert Revision.objects.count() == 1


def bulk(client: Client, action: str, **values: Any) -> Any:
    """Choose an action for the route on the list as it stands, or as it stood where `stamp` is given."""
    page = reverse("admin:routing_route_changelist")
    form = {"action": action, "_selected_action": [route().pk], "stamp": listed(client)} | values
    return client.post(page, form, follow=True)


def listed(client: Client) -> str:
    form = client.get(reverse("admin:routing_route_changelist")).context["action_form"]
    return str(form["stamp"].value())


def test_it_does_nothing_in_bulk_on_a_list_that_is_older_than_the_table(olga: Client, otto: Client) -> None:
    stale = listed(olga)
    otto.post(address(route()), opened(otto, route(), description="theirs", why="Urgent"))
    page = bulk(olga, "disable", stamp=stale).content.decode()
    assert "Nothing was done: the table changed" in page and "by otto: Urgent" in page
    assert route().enabled
    bulk(olga, "disable")
    assert not route().enabled


def test_it_deletes_nothing_in_bulk_that_was_changed_while_it_asked(olga: Client, otto: Client) -> None:
    bulk(olga, "delete_selected")
    otto.post(address(route()), opened(otto, route(), description="theirs"))
    bulk(olga, "delete_selected", post="yes")
    assert route().description == "theirs"
    bulk(olga, "delete_selected")
    bulk(olga, "delete_selected", post="yes")
    assert not Route.objects.exists()


def test_it_deletes_nothing_that_was_changed_while_it_asked(olga: Client, otto: Client) -> None:
    delete = reverse("admin:routing_route_delete", args=[route().pk])
    olga.get(delete)
    otto.post(address(route()), opened(otto, route(), description="theirs"))
    page = olga.post(delete, {"post": "yes"}, follow=True).content.decode()
    assert "was not deleted: somebody changed it" in page
    assert route().description == "theirs"
    olga.post(delete, {"post": "yes"})
    assert not Route.objects.exists()


def test_it_sets_a_tier_in_bulk_after_showing_what_changes(olga: Client) -> None:
    two = Provider.objects.get(name="two").pk
    assert "Show what changes" in bulk(olga, "set_tier").content.decode()
    shown = bulk(olga, "set_tier", provider=two, tier="3").content.decode()
    assert "<ins>3</ins>" in shown
    assert {each.tier for each in route().targets.all()} == {0}
    assert Revision.objects.count() == 1
    bulk(olga, "set_tier", provider=two, tier="3", post="yes")
    assert [(each.provider.name, each.tier) for each in route().targets.all()] == [("one", 0), ("two", 3)]
    latest = store.latest()
    assert latest is not None and latest.note == "Targets at two moved to tier 3: gpt-4o"
    assert Revision.objects.count() == 2


def test_it_lists_routes_that_lead_nowhere(olga: Client) -> None:
    rows.route("lost")
    rows.route("alias", alias_of="gpt-4o")
    page = reverse("admin:routing_route_changelist")

    def found(leads: str) -> list[str]:
        return [each.name for each in olga.get(page, {"leads": leads}).context["cl"].result_list]

    assert (found("no"), found("yes")) == (["lost"], ["alias", "gpt-4o"])


def test_it_lists_what_is_in_trouble(olga: Client) -> None:
    rows.route("far-*", Provider.objects.get(name="one"))
    rows.route("fine", Provider.objects.get(name="two"))
    Breaker.objects.create(target="one/gpt-4o", state="open", opened=1)
    Breaker.objects.create(target="two/gpt-4o", state="closed")

    def found(model: str) -> list[str]:
        page = reverse(f"admin:routing_{model}_changelist")
        return [each.name for each in olga.get(page, {"trouble": "yes"}).context["cl"].result_list]

    assert (found("provider"), found("route")) == (["one"], ["far-*", "gpt-4o"])


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_two_who_save_in_the_same_moment_one_is_asked() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite's write transactions wait for each other by themselves")
    rows.route("gpt-4o", rows.provider("one"))
    store.publish("setup")
    people = [rows.signed_in(rows.person(name, "ops")) for name in ("olga", "otto", "ossi", "oda")]
    forms = [opened(each, route(), description=f"by {number}") for number, each in enumerate(people)]
    page, begin = address(route()), threading.Barrier(len(people))
    answers: list[int] = []

    def save(client: Client, form: dict[str, Any]) -> None:
        try:
            begin.wait(10)
            answers.append(client.post(page, form).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=save, args=each) for each in zip(people, forms, strict=True)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert sorted(answers) == [302, 409, 409, 409]
    assert Revision.objects.count() == 2
