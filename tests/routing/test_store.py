"""Publishing, undoing, merging: rows, documents and revisions agree."""

import threading
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings

from routing import document, exchange, store
from routing.document import Document
from routing.models import Provider, Revision, Route, Target
from routing.store import RoutingRefused
from tests.routing.tables import table, tables

pytestmark = pytest.mark.django_db
LOCAL = {"name": "local", "kind": "openai-compatible", "base_url": "https://llm.example/v1", "credential": None}
STUB = {"name": "stub", "kind": "stub", "credential": None}


def route(name: str, *providers: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "targets": [{"provider": each} for each in providers], **fields}


def names(found: Document) -> list[str]:
    return [entry["name"] for entry in (*found["providers"], *found["routes"])]


def test_it_publishes_an_empty_table_first() -> None:
    revision = store.publish("ann", "first")
    assert (revision.document, revision.author, revision.note, revision.diff) == (document.empty(), "ann", "first", [])
    assert store.latest() == revision


def test_it_publishes_what_the_rows_say_with_the_changes() -> None:
    store.publish("ann")
    provider = Provider.objects.create(name="local", kind="openai-compatible", base_url="https://llm.example/v1")
    row = Route.objects.create(name="small", cache_ttl=60)
    Target.objects.create(route=row, provider=provider, model="b", position=2)
    Target.objects.create(route=row, provider=provider, model="a", position=1, weight=3)
    revision = store.publish("ann")
    assert [each["model"] for each in revision.document["routes"][0]["targets"]] == ["a", "b"]
    assert [each["sentence"] for each in revision.diff] == [
        "provider local added: openai-compatible at https://llm.example/v1",
        "route small added: local/a (weight 3), local/b",
    ]


def test_it_publishes_nothing_where_nothing_changed() -> None:
    first = store.apply(table([STUB], []), "ann")
    Provider.objects.get().save()
    assert store.publish("bob") == first
    assert store.apply(table([STUB], []), "bob", replace=True) == first
    assert Revision.objects.count() == 1


def test_it_lists_what_is_not_published_yet() -> None:
    store.publish("ann")
    Route.objects.create(name="small")
    assert [change.sentence for change in store.pending()] == ["route small added: no targets"]
    store.publish("ann")
    assert store.pending() == []


def test_it_refuses_to_publish_rows_that_break_the_rules() -> None:
    Route.objects.create(name="two * stars *")
    with pytest.raises(RoutingRefused, match="cannot be published: route"):
        store.publish("ann")
    assert Revision.objects.count() == 0


def test_it_adds_and_changes_by_name_and_leaves_the_rest() -> None:
    store.apply(table([LOCAL, STUB], [route("a", "stub"), route("b", "stub")]), "ann")
    kept = Route.objects.get(name="b")
    merged = store.apply({"routes": [route("a", "local", "stub"), route("c", "stub")]}, "ann", "merge")
    assert names(merged.document) == ["local", "stub", "a", "b", "c"]
    assert [each["provider"] for each in merged.document["routes"][0]["targets"]] == ["local", "stub"]
    assert Route.objects.get(name="b").updated_at == kept.updated_at
    assert merged.note == "merge"


def test_it_removes_the_rest_when_told_to() -> None:
    store.apply(table([LOCAL, STUB], [route("a", "local"), route("b", "stub")]), "ann")
    replaced = store.apply(table([STUB], [route("a", "stub")]), "ann", replace=True)
    assert names(replaced.document) == ["stub", "a"]
    assert (Provider.objects.count(), Route.objects.count(), Target.objects.count()) == (1, 1, 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"routes": [route("new", "gone")]}, "route new: no provider is called 'gone'"),
        (
            {"providers": [LOCAL | {"base_url": "http://127.0.0.1"}], "routes": [route("new")]},
            "provider local: .* private",
        ),
        ({"providers": [LOCAL | {"kind": "pigeon"}]}, "is none of the kinds"),
        ({"rotues": []}, "not known: rotues"),
    ],
)
def test_it_changes_nothing_when_it_refuses(change: dict[str, Any], words: str) -> None:
    before = store.apply(table([STUB], [route("a", "stub")]), "ann")
    with pytest.raises(RoutingRefused, match=words):
        store.preview(change)
    with pytest.raises(RoutingRefused, match=words):
        store.apply(change, "ann")
    assert store.draft() == before.document
    assert Revision.objects.count() == 1


def test_it_previews_without_changing_anything() -> None:
    before = store.apply(table([STUB], [route("a", "stub")]), "ann")
    found = store.preview({"routes": [route("a", "stub", enabled=False), route("b", "stub")]})
    assert [change.sentence for change in found] == ["route a: enabled on -> off", "route b added: stub/(as asked)"]
    assert store.draft() == before.document


def test_it_restores_rows_and_publishes_them_again() -> None:
    first = store.apply(table([LOCAL], [route("a", "local"), route("b", "local")]), "ann")
    second = store.apply(table([LOCAL, STUB], [route("a", "stub")]), "bob", replace=True)
    restored = store.restore(first.number, "cy")
    assert restored.document == store.draft() == first.document
    assert (restored.restored_from, restored.author, restored.note) == (
        first,
        "cy",
        f"Restored revision {first.number}",
    )
    assert restored.number > second.number
    assert "route b added: local/(as asked)" in [each["sentence"] for each in restored.diff]
    assert store.restore(second, "cy").document == second.document


def test_it_restores_nothing_where_that_serves_already() -> None:
    first = store.apply(table([LOCAL], []), "ann")
    assert store.restore(first, "bob") == first
    with pytest.raises(RoutingRefused, match="no revision 999"):
        store.restore(999, "bob")


def test_it_restores_an_unpublished_draft_too() -> None:
    first = store.apply(table([LOCAL], []), "ann")
    Route.objects.create(name="draft")
    assert store.restore(first, "bob") == first
    assert store.draft() == first.document


def test_it_keeps_credentials_through_edits_and_restores() -> None:
    secret = {"local": "sk-secret"}
    first = store.apply(table([LOCAL | {"credential": {"stored": True}}], []), "ann", secrets=secret)
    assert first.document["providers"][0]["credential"] == {"stored": True}
    assert "sk-secret" not in document.text(first.document)
    changed = Provider.objects.get().credential_changed_at
    store.apply({"providers": [LOCAL | {"credential": {"stored": True}, "note": "n"}]}, "ann")
    store.restore(first, "ann")
    assert Provider.objects.get().credential == "sk-secret"
    assert Provider.objects.get().credential_changed_at == changed


def test_it_says_so_when_a_restored_provider_has_lost_its_credential() -> None:
    first = store.apply(table([LOCAL | {"credential": {"stored": True}}], []), "ann", secrets={"local": "sk-secret"})
    store.apply(document.empty(), "ann", replace=True)
    restored = store.restore(first, "ann")
    assert restored.document["providers"][0]["credential"] is None
    assert "provider local has no credential yet" in restored.note


def test_it_changes_the_form_of_a_credential() -> None:
    store.apply(table([LOCAL], []), "ann", secrets={"local": "sk-secret"})
    for credential in ({"env": "SOME_KEY"}, None):
        revision = store.apply({"providers": [LOCAL | {"credential": credential}]}, "ann")
        assert revision.document["providers"][0]["credential"] == credential
        assert not Provider.objects.get().has_stored_credential


def test_it_takes_a_new_secret_for_an_unchanged_table() -> None:
    kept = LOCAL | {"credential": {"stored": True}}
    first = store.apply(table([kept], []), "ann", secrets={"local": "sk-old"})
    mark = store.mark()
    assert store.apply(table([kept], []), "ann", secrets={"local": "sk-new"}) == first
    assert Provider.objects.get().credential == "sk-new"
    assert store.mark() != mark


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables())
def test_it_loses_nothing_between_rows_documents_and_text(found: Document) -> None:
    store.apply(found, "ann", replace=True)
    assert store.draft() == found
    text = exchange.write(store.draft())
    store.apply(document.empty(), "ann", replace=True)
    store.apply(exchange.read(text, {}).document, "ann", replace=True)
    assert store.draft() == found


def test_it_holds_thousands_of_routes() -> None:
    many = table([STUB], [route(f"model-{number}", "stub") for number in range(2000)])
    assert store.apply(many, "ann").document == many
    revision = store.apply({"routes": [route("model-7", "stub", enabled=False)]}, "ann")
    assert [each["sentence"] for each in revision.diff] == ["route model-7: enabled on -> off"]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_it_lets_publishers_wait_for_each_other() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite's write transactions wait for each other by themselves")
    store.apply(table([STUB], []), "ann")
    begin = threading.Barrier(4)

    def work(worker: int) -> None:
        try:
            begin.wait(5)
            for number in range(10):
                store.apply({"routes": [route(f"r{worker}-{number}", "stub")]}, f"worker {worker}")
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    revisions = list(Revision.objects.order_by("number"))
    assert len(revisions) == 41
    assert [len(each.document["routes"]) for each in revisions] == list(range(41))
    assert all(len(each.diff) == 1 for each in revisions)
