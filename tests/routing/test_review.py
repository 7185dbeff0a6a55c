"""Edits that wait: kept, published by somebody, at once or at a set time, discarded; and what serves meanwhile."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from routing import store
from routing.models import DraftEdit, LiveCredential, Provider, Publication, Revision, Route
from tests.routing.tables import table

pytestmark = pytest.mark.django_db
URL = "https://llm.example/v1"
BOX = {"name": "box", "kind": "openai-compatible", "base_url": URL, "credential": {"stored": True}, "free": True}
SMALL = {"name": "small", "targets": [{"provider": "box", "model": "m"}]}


@pytest.fixture(autouse=True)
def review(settings: Any) -> None:
    settings.ROUTING_REVIEW, settings.ROUTING_APPROVAL = True, False
    store.apply(table([BOX], [SMALL]), "setup", secrets={"box": "sk-old"})


def edit(author: str = "olga", note: str = "", **fields: Any) -> int:
    """Change the route `small` and return how many changes wait then."""
    Route.objects.filter(name="small").update(**fields)
    return store.save(author, note).waiting


def publish(author: str = "olga", **options: Any) -> Revision:
    return store.publish_draft(author, "", seen=store.version(), **options)


def later(author: str = "olga", **ahead: float) -> Publication:
    return store.schedule(author, "", timezone.now() + timedelta(**ahead), seen=store.version())


def serving() -> dict[str, Any]:
    (found,) = [each for each in store.latest().document["routes"] if each["name"] == "small"]  # type: ignore[union-attr]
    return found


def sentences() -> list[str]:
    return [change.sentence for change in store.waiting_changes()]


def test_it_keeps_edits_until_somebody_publishes() -> None:
    assert edit("olga", "slower", cache_ttl=60) == 1
    assert edit("otto", "said so", description="a box") == 2
    assert serving()["cache_ttl"] is None
    assert (store.editors(), store.notes()) == (["olga", "otto"], "slower; said so")
    revision = publish("ann")
    assert (revision.author, revision.note, revision.editors) == ("ann", "slower; said so", ["olga", "otto"])
    assert serving()["cache_ttl"] == 60
    assert store.edits() == []
    with pytest.raises(store.RoutingRefused, match="nothing to publish"):
        publish()


def test_it_does_not_count_who_changed_nothing_or_took_it_back() -> None:
    assert edit("olga", cache_ttl=60) == 1
    assert store.save("otto").waiting == 1
    assert store.editors() == ["olga"]
    assert edit("otto", cache_ttl=None) == 0
    assert store.edits() == []


def test_it_publishes_only_what_was_looked_at() -> None:
    edit(cache_ttl=60)
    seen = store.version()
    edit("otto", cache_ttl=61)
    with pytest.raises(store.DraftMoved):
        store.publish_draft("olga", "", seen=seen)
    with pytest.raises(store.DraftMoved):
        store.discard("olga", seen=seen)
    assert serving()["cache_ttl"] is None and Route.objects.get().cache_ttl == 61


def test_it_wants_a_second_person_where_approval_is_on(settings: Any) -> None:
    settings.ROUTING_APPROVAL = True
    edit("olga", cache_ttl=60)
    edit("otto", cache_ttl=61)
    for author in ("olga", "otto"):
        assert not store.may_publish(author)
        with pytest.raises(store.RoutingRefused, match=f"{author} edited this draft"):
            publish(author)
    assert publish("ann").author == "ann"


def test_it_refuses_errors_and_asks_about_warnings() -> None:
    Route.objects.create(name="empty")
    store.save("olga")
    with pytest.raises(store.RoutingRefused, match="route empty has no target"):
        publish(confirmed=True)
    Route.objects.filter(name="empty").delete()
    Provider.objects.update(free=False)
    store.save("olga")
    with pytest.raises(store.Unconfirmed, match="box/m has no price"):
        publish()
    assert publish(confirmed=True)


def test_it_lets_a_new_credential_wait_too() -> None:
    row = Provider.objects.get()
    row.credential, row.base_url = "sk-new", "https://elsewhere.example/v1"
    row.save()
    assert store.save("olga").waiting == 2
    assert sentences() == [
        "provider box: base_url https://llm.example/v1 -> https://elsewhere.example/v1",
        "provider box: a new credential",
    ]
    box = store.load_snapshot({}).providers["box"]
    assert (box.base_url, box.secret) == ("https://llm.example/v1", "sk-old")
    publish()
    box = store.load_snapshot({}).providers["box"]
    assert (box.base_url, box.secret) == ("https://elsewhere.example/v1", "sk-new")


def test_it_publishes_a_new_credential_alone_without_a_revision() -> None:
    before, mark = store.latest(), store.mark()
    row = Provider.objects.get()
    row.credential = "sk-new"
    row.save()
    assert store.save("olga").waiting == 1
    assert publish() == before
    assert store.mark() != mark
    assert store.load_snapshot({}).providers["box"].secret == "sk-new"


def test_it_serves_on_with_the_credential_of_a_provider_that_the_draft_deletes_or_renames() -> None:
    Route.objects.all().delete()
    Provider.objects.all().delete()
    store.save("olga")
    assert store.load_snapshot({}).providers["box"].secret == "sk-old"
    store.discard("olga", seen=store.version())
    assert Provider.objects.get().credential == "sk-old"
    Route.objects.all().delete()
    Provider.objects.update(name="crate")
    store.save("olga")
    assert store.load_snapshot({}).providers["box"].secret == "sk-old"
    publish()
    assert store.load_snapshot({}).providers["crate"].secret == "sk-old"
    assert [each.name for each in LiveCredential.objects.all()] == ["crate"]


def test_it_discards_a_draft() -> None:
    row = Provider.objects.get()
    row.credential = "sk-new"
    row.save()
    edit(cache_ttl=60)
    Route.objects.create(name="other")
    store.discard("olga", seen=store.version())
    assert (sentences(), store.edits()) == ([], [])
    assert Provider.objects.get().credential == "sk-old"
    assert [each.name for each in Route.objects.all()] == ["small"]


def test_it_goes_live_at_the_set_time_with_what_it_held_then() -> None:
    edit("olga", "slower", cache_ttl=60)
    waits = later("otto", minutes=5)
    edit("olga", description="after")
    assert store.publish_due() is None
    done = store.publish_due(waits.due)
    assert done is not None and done.state == "done"
    assert (serving()["cache_ttl"], serving()["description"]) == (60, "")
    latest = store.latest()
    assert latest is not None and (latest.author, latest.note, latest.editors) == ("otto", "slower", ["olga"])
    assert sentences() == ["route small: description empty -> after"]
    assert [each.pending for each in DraftEdit.objects.all()] == [1]
    assert store.publish_due(waits.due) is None


def test_it_sets_one_time_only_in_the_future_and_takes_it_back() -> None:
    edit(cache_ttl=60)
    with pytest.raises(store.RoutingRefused, match="that time has passed"):
        later(seconds=-1)
    later(minutes=5)
    with pytest.raises(store.RoutingRefused, match="waits already"):
        later(minutes=6)
    assert store.cancel("otto").outcome == "Cancelled by otto"
    assert store.publish_due(timezone.now() + timedelta(days=1)) is None
    assert sentences() == ["route small: cache_ttl none -> 60"]
    with pytest.raises(store.RoutingRefused, match="no publication waits"):
        store.cancel("otto")


def test_it_keeps_what_was_published_meanwhile(settings: Any) -> None:
    edit(cache_ttl=60)
    waits = later(minutes=5)
    store.apply({"routes": [{"name": "other"}]}, "ann")  # which takes the draft along
    assert serving()["cache_ttl"] == 60
    Route.objects.filter(name="small").update(description="and this")
    publish(confirmed=True)
    done = store.publish_due(waits.due)
    assert done is not None and done.state == "done"
    assert (serving()["cache_ttl"], serving()["description"]) == (60, "and this")


def test_it_publishes_nothing_over_what_somebody_else_changed_meanwhile() -> None:
    edit(cache_ttl=60)
    waits = later(minutes=5)
    edit(cache_ttl=90)
    publish()
    failed = store.publish_due(waits.due)
    assert failed is not None
    assert (failed.state, failed.outcome) == (
        "failed",
        "Not published: route small: cache ttl was changed on both sides meanwhile",
    )
    assert serving()["cache_ttl"] == 90


def test_it_lets_the_rows_follow_a_publication_whose_draft_was_discarded() -> None:
    edit(cache_ttl=60)
    waits = later(minutes=5)
    store.discard("olga", seen=store.version())
    store.publish_due(waits.due)
    assert serving()["cache_ttl"] == 60
    assert Route.objects.get().cache_ttl == 60
    assert sentences() == []


def test_it_takes_no_credential_to_an_address_that_it_was_not_entered_for() -> None:
    row = Provider.objects.get()
    row.credential, row.base_url = "sk-of-olga", "https://elsewhere.example/v1"
    row.save()
    store.save("olga")
    waits = store.schedule("olga", "", timezone.now() + timedelta(minutes=5), seen=store.version(), confirmed=True)
    store.discard("olga", seen=store.version())
    failed = store.publish_due(waits.due)
    assert failed is not None and failed.state == "failed"
    assert "the credential that was entered for the new address of box is gone" in failed.outcome
    box, row = store.load_snapshot({}).providers["box"], Provider.objects.get()
    assert (box.base_url, box.secret, row.base_url, row.credential) == (URL, "sk-old", URL, "sk-old")


def test_it_restores_at_once_and_takes_the_draft_along() -> None:
    first = store.latest()
    edit(cache_ttl=60)
    publish()
    edit(cache_ttl=90)
    assert first is not None
    restored = store.restore(first.number, "ann")
    assert (serving()["cache_ttl"], restored.editors) == (None, ["ann"])
    assert (sentences(), store.edits()) == ([], [])


def test_a_credential_that_waits_is_not_put_live_by_who_restores(settings: Any) -> None:
    settings.ROUTING_APPROVAL = True
    first = store.latest()
    edit(cache_ttl=60)
    publish("ann")
    row = Provider.objects.get()
    row.credential = "sk-of-olga"
    row.save()
    store.save("olga")
    assert first is not None and not store.may_publish("olga")
    assert store.bring_back(first, "olga").new
    assert store.load_snapshot({}).providers["box"].secret == Provider.objects.get().credential == "sk-old"
    assert (serving()["cache_ttl"], sentences(), store.edits()) == (None, [], [])


def test_a_provider_that_the_draft_moves_does_not_keep_anybody_from_restoring() -> None:
    first = store.latest()
    edit(cache_ttl=60)
    publish("ann")
    row = Provider.objects.get()
    row.credential, row.base_url = "sk-of-olga", "https://elsewhere.example/v1"
    row.save()
    store.save("olga")
    assert first is not None
    store.bring_back(first, "ann")
    box = store.load_snapshot({}).providers["box"]
    assert (box.base_url, box.secret, Provider.objects.get().credential) == (URL, "sk-old", "sk-old")


def test_it_publishes_each_edit_at_once_without_review(settings: Any) -> None:
    settings.ROUTING_REVIEW = False
    Route.objects.update(cache_ttl=60)
    kept = store.save("olga", "slower")
    assert kept.new and kept.revision is not None and kept.revision.editors == ["olga"]
    assert not store.save("olga").new
    assert serving()["cache_ttl"] == 60
