"""Review mode in the admin: edits wait, are looked at, published by somebody, at once or later, or discarded."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from routing import store
from routing.models import Provider, Publication, Revision, Route
from tests.admin import rows
from tests.admin.test_routing import provider_form, route_form

pytestmark = pytest.mark.django_db
PUBLISH = "admin:routing_revision_publish"


@pytest.fixture
def olga(settings: Any) -> Client:
    """Ops, in review mode, with a published route `gpt-4o` to the free provider `mock`."""
    rows.route("gpt-4o", rows.provider(free=True))
    store.publish("setup")
    settings.ROUTING_REVIEW = True
    return rows.signed_in(rows.person("olga", "ops"))


def page(client: Client, name: str, *args: Any, **data: Any) -> str:
    return client.get(reverse(name, args=args), data).content.decode()


def disable(client: Client) -> str:
    """Switch the route off in the form, and return the page that follows."""
    route = Route.objects.get()
    target = route.targets.get()
    shown = {"id": target.pk, "route": route.pk, "provider": target.provider_id, "position": "0"}
    form = route_form(shown, initial=1, enabled="")
    address = reverse("admin:routing_route_change", args=[route.pk])
    return client.post(address, form, follow=True).content.decode()


def publish(client: Client, **values: Any) -> str:
    """Send the publish page as it stands, with `values`, and return what follows."""
    address = reverse(PUBLISH)
    form = {"seen": client.get(address).context["seen"]} | values
    return client.post(address, form, follow=True).content.decode()


def count() -> int:
    return Revision.objects.count()


def test_it_keeps_an_edit_and_says_so_on_every_page(olga: Client) -> None:
    assert "1 unpublished change</u>" in disable(olga)
    assert count() == 1
    lists = [f"admin:routing_{model}_changelist" for model in ("provider", "route", "revision")]
    route = Route.objects.get().pk
    pages = [page(olga, name) for name in ("admin:index", *lists, "admin:routing_revision_compare")]
    pages += [page(olga, f"admin:routing_route_{verb}", route) for verb in ("change", "delete", "history")]
    for shown in pages:
        assert "<strong>1 unpublished change</strong>" in shown
        assert reverse(PUBLISH) in shown
    assert "unpublished" not in page(olga, "admin:accounts_team_changelist")


def test_it_still_says_what_waits_when_reviewing_was_switched_off(olga: Client, settings: Any) -> None:
    disable(olga)
    settings.ROUTING_REVIEW = False
    assert "<strong>1 unpublished change</strong>" in page(olga, "admin:index")
    publish(olga)
    assert "unpublished" not in page(olga, "admin:index")


def test_it_publishes_what_the_page_shows(olga: Client) -> None:
    disable(olga)
    shown = page(olga, PUBLISH)
    assert "route <strong>gpt-4o</strong>" in shown and "<ins>off</ins>" in shown
    assert "Nothing to complain about" in shown
    after = publish(olga, note="Not needed")
    assert "Live in every process within a second" in after and "unpublished" not in after
    latest = store.latest()
    assert latest is not None and (latest.author, latest.note) == ("olga", "Not needed")
    assert not latest.document["routes"][0]["enabled"]


def test_it_asks_again_when_the_draft_has_changed_meanwhile(olga: Client) -> None:
    disable(olga)
    seen = olga.get(reverse(PUBLISH)).context["seen"]
    otto = rows.signed_in(rows.person("otto", "ops"))
    otto.post(reverse("admin:routing_provider_add"), provider_form(name="other"))
    answer = olga.post(reverse(PUBLISH), {"seen": seen}).content.decode()
    assert "Nothing was published: the draft has changed since you looked at it" in answer
    assert "provider <strong>other</strong>" in answer  # and there it is
    assert count() == 1
    publish(olga)
    assert count() == 2


def test_it_stops_at_errors_and_asks_about_warnings(olga: Client) -> None:
    Provider.objects.update(enabled=False)
    store.save("olga")
    assert "route gpt-4o has no target that is on" in page(olga, PUBLISH)
    assert 'type="submit">Publish<' not in page(olga, PUBLISH)
    assert "Nothing was published: route gpt-4o has no target that is on" in publish(olga, confirmed="on")
    Provider.objects.update(enabled=True, free=False)
    store.save("olga")
    assert "mock/gpt-4o has no price" in page(olga, PUBLISH)
    assert "Read the warnings first" in publish(olga)
    assert count() == 1
    publish(olga, confirmed="on")
    assert count() == 2


def test_it_wants_somebody_else_where_approval_is_on(olga: Client, settings: Any) -> None:
    settings.ROUTING_APPROVAL = True
    disable(olga)
    assert "somebody else has to publish it" in page(olga, PUBLISH)
    assert "olga edited this draft" in publish(olga)
    assert count() == 1
    publish(rows.signed_in(rows.person("otto", "ops")))
    assert count() == 2
    assert "olga" in page(olga, "admin:routing_revision_change", Revision.objects.latest("number").pk)


def test_it_sets_a_time_shows_it_and_takes_it_back(olga: Client) -> None:
    disable(olga)
    due = timezone.now() + timedelta(hours=1)
    assert "Goes live by itself at" in publish(olga, at=due.strftime("%Y-%m-%dT%H:%M:%S"))
    assert count() == 1
    assert f"goes live at <strong>{due:%-d %b %Y %H:%M:%S}" in page(olga, "admin:index")
    olga.post(reverse("admin:routing_revision_cancel"))
    assert "goes live at" not in page(olga, "admin:index")
    assert Publication.objects.get().outcome == "Cancelled by olga"
    assert "that time has passed" in publish(olga, at="2020-01-01T00:00")


def test_it_says_on_each_page_when_a_publication_could_not_go_live(olga: Client) -> None:
    disable(olga)
    waits = store.schedule("olga", "", timezone.now() + timedelta(seconds=60), seen=store.version())
    Route.objects.update(enabled=True)
    Route.objects.all().delete()
    store.save("otto")
    store.publish_draft("otto", "", seen=store.version())
    store.publish_due(waits.due)
    assert "did not go live" in page(olga, "admin:index")
    assert "route gpt-4o was changed on both sides" in page(olga, "admin:routing_route_changelist")


def test_it_discards_after_showing_what_is_lost(olga: Client) -> None:
    disable(olga)
    address = reverse("admin:routing_revision_discard")
    looked = olga.get(address)
    assert "<ins>off</ins>" in looked.content.decode()
    assert olga.post(address, {"seen": "older"}).status_code == 200
    assert not Route.objects.get().enabled
    olga.post(address, {"seen": looked.context["seen"]})
    assert Route.objects.get().enabled
    assert "unpublished" not in page(olga, "admin:index")


def test_it_shows_who_only_looks_the_draft_but_no_button(olga: Client) -> None:
    disable(olga)
    vera = rows.signed_in(rows.person("vera", "viewer"))
    shown = page(vera, PUBLISH)
    assert "<ins>off</ins>" in shown and 'type="submit">Publish<' not in shown
    seen = olga.get(reverse(PUBLISH)).context["seen"]
    for name in (PUBLISH, "admin:routing_revision_discard", "admin:routing_revision_cancel"):
        assert vera.post(reverse(name), {"seen": seen}).status_code == 403
    nobody = rows.signed_in(rows.person("nora"))
    assert nobody.get(reverse(PUBLISH)).status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(rows.person("otto", "ops"))
    assert strict.post(reverse(PUBLISH), {"seen": seen}).status_code == 403
    assert count() == 1


def test_it_shows_what_a_restored_revision_takes_from_the_draft(olga: Client) -> None:
    first = store.latest()
    assert first is not None
    disable(olga)
    publish(olga)
    Route.objects.update(cache_ttl=77)
    store.save("olga")
    address = reverse("admin:routing_revision_restore", args=[first.number])
    looked = olga.get(address)
    assert "These unpublished changes are lost" in looked.content.decode()
    assert "<ins>77</ins>" in looked.content.decode()
    olga.post(address, {"seen": looked.context["seen"]})
    assert (Route.objects.get().enabled, Route.objects.get().cache_ttl) == (True, None)


def test_it_keeps_what_is_older_than_the_last_revision_for_a_second_person(olga: Client, settings: Any) -> None:
    first = store.latest()
    assert first is not None
    for ttl in (1, 2):
        Route.objects.update(cache_ttl=ttl)
        store.publish("root")
    settings.ROUTING_APPROVAL = True
    address = reverse("admin:routing_revision_restore", args=[first.number])
    looked = olga.get(address)
    assert "which somebody else has to publish" in looked.content.decode()
    told = olga.post(address, {"seen": looked.context["seen"]}, follow=True).content.decode()
    assert "kept as a draft" in told and "somebody else has to publish it" in told
    assert (count(), Route.objects.get().cache_ttl, store.editors()) == (3, None, ["olga"])
    undo = reverse("admin:routing_revision_restore", args=[store.before_last()])
    looked = olga.get(undo)
    assert "serves in every process" in looked.content.decode()
    olga.post(undo, {"seen": looked.context["seen"]})
    assert (count(), Route.objects.get().cache_ttl) == (4, 1)


def test_it_compares_any_two_states(olga: Client) -> None:
    for ttl in (1, 2, 3):
        Route.objects.update(cache_ttl=ttl)
        store.publish("olga")
    Route.objects.update(cache_ttl=4)
    store.save("olga")
    first, *_, last = Revision.objects.order_by("number").values_list("number", flat=True)
    compare = "admin:routing_revision_compare"
    across = page(olga, compare, a=first, b=last)
    assert "<del>none</del>" in across and "<ins>3</ins>" in across
    assert "<del>3</del>" in page(olga, compare) and "<ins>4</ins>" in page(olga, compare)
    assert "Both say the same" in page(olga, compare, a=last, b="serving")
    assert "neither the number of a revision" in page(olga, compare, a="<b>", b="draft")
    assert "there is no revision 999" in page(olga, compare, a="999")
