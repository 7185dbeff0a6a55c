"""Cache entries in the admin: an edit reaches every process, an answer that cannot be served is refused."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.prices import Usage
from proxy import store
from proxy.admin.entries import purge
from proxy.cache import Cache, Entry
from proxy.models import CacheEntry
from tests.admin import rows

pytestmark = pytest.mark.django_db
LIST = "admin:proxy_cacheentry_changelist"


@pytest.fixture
def ops() -> Client:
    return rows.signed_in(rows.person("olga", "ops"))


def edit(ops: Client, entry: CacheEntry, **values: Any) -> Any:
    known = {"expires_at_0": "2030-01-01", "expires_at_1": "00:00:00", "note": "", "answer": rows.ANSWER}
    page = ops.post(reverse("admin:proxy_cacheentry_change", args=[entry.pk]), known | values)
    entry.refresh_from_db()
    return page


def test_it_edits_so_that_every_process_reads_the_row_again(ops: Client) -> None:
    entry = rows.entry()
    before, answer = entry.updated_at, rows.ANSWER.replace('"4"', '"four"')
    assert edit(ops, entry, answer=answer, pinned="on", note="corrected", team="mallory", hits="0").status_code == 302
    assert (entry.answer, entry.pinned, entry.note, entry.origin) == (answer, True, "corrected", "")
    assert (entry.bytes, entry.expires_at.year, entry.team, entry.hits) == (len(answer), 2030, "search", 7)
    assert entry.updated_at > before


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "not json",
        "[]",
        "{}",
        "[" * 100_000,
        json.dumps({"object": "chat.completion", "choices": []}),
        json.dumps({"object": "chat.completion", "choices": [{}]}),
        json.dumps({"object": "list", "choices": [{"message": {}}]}),
        json.dumps({"object": "chat.completion", "choices": [{"message": "hello"}]}),
        json.dumps({"object": "chat.completion", "choices": [{"message": {"content": float("nan")}}]}),
        json.dumps({"object": "chat.completion", "choices": [{"message": {"content": "\ud800"}}]}),
        json.dumps({"object": "chat.completion", "choices": [{"message": {"tool_calls": ["f"]}}]}),
    ],
)
def test_it_refuses_an_answer_that_cannot_be_served(ops: Client, answer: str) -> None:
    entry = rows.entry()
    page = edit(ops, entry, answer=answer)
    assert "answer" in page.context["adminform"].form.errors
    assert entry.answer == rows.ANSWER


def test_it_leaves_a_stream_that_is_not_assembled_yet_alone(ops: Client) -> None:
    entry = rows.entry(answer="", transcript=b"data: {}\n\n")
    assert edit(ops, entry, answer="", pinned="on").status_code == 302
    assert (entry.answer, bytes(entry.transcript or b""), entry.pinned) == ("", b"data: {}\n\n", True)


@pytest.mark.parametrize("how", ["action", "delete"])
def test_it_purges_by_telling_every_process(ops: Client, how: str) -> None:
    entry = rows.entry()
    before = entry.updated_at
    if how == "action":
        ops.post(reverse(LIST), {"action": "purge", "_selected_action": [entry.pk]})
    else:
        ops.post(reverse("admin:proxy_cacheentry_delete", args=[entry.pk]), {"post": "yes"})
    entry.refresh_from_db()
    assert (entry.purged, entry.origin) == (True, "")
    assert entry.updated_at > before


def test_it_pins_and_unpins_in_bulk(ops: Client) -> None:
    entry = rows.entry()
    for action, pinned in (("pin", True), ("unpin", False)):
        ops.post(reverse(LIST), {"action": action, "_selected_action": [entry.pk]})
        entry.refresh_from_db()
        assert (entry.pinned, entry.origin) == (pinned, "")


def test_it_removes_no_row_behind_the_back_of_the_processes(ops: Client) -> None:
    entry = rows.entry()
    ops.post(reverse(LIST), {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"})
    assert CacheEntry.objects.filter(pk=entry.pk).exists()


def test_a_purge_reaches_every_process_however_large_it_is() -> None:
    one = rows.entry(origin="another process")
    known = {name: value for name, value in vars(one).items() if name not in {"_state", "id", "key"}}
    keys = [f"{number:064d}" for number in range(store.WARM_ENTRIES + 1)]
    CacheEntry.objects.bulk_create([CacheEntry(key=key, **known) for key in keys])
    cache = Cache(100_000_000, default_ttl=60)
    writer = store.Writer(cache, origin="this process")
    writer.read()
    for each in CacheEntry.objects.iterator():
        cache.put(store.entry_of(each), write=False)
    purge(CacheEntry.objects.all())
    writer.read()
    assert len(cache) == 0


def test_entries_are_written_in_a_fixed_order_so_that_no_two_processes_wait_for_each_other() -> None:
    now = timezone.now().timestamp()
    cache = Cache(1_000_000, default_ttl=60)
    for number in (3, 1, 2):
        names: dict[str, Any] = {
            "team": "t",
            "model": "m",
            "route": "m",
            "provider": "p",
            "kind": "stub",
            "served_model": "m",
        }
        cache.put(
            Entry(
                key=f"{number:064d}",
                usage=Usage(),
                free=True,
                created_at=now,
                expires_at=now + 60,
                answer=rows.ANSWER.encode(),
                **names,
            )
        )
    store.Writer(cache, origin="this process").write(10)
    assert [int(key) for key in CacheEntry.objects.order_by("id").values_list("key", flat=True)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("form", "kept"), [("events", b"data: {}\n\ndata: 2\r\n\r\n"), ("body", b'{"type":"message"}')]
)
def test_an_entry_of_any_form_comes_back_as_it_was_written(form: str, kept: bytes) -> None:
    now = timezone.now().timestamp()
    cache = Cache(1_000_000, default_ttl=60)
    names: dict[str, Any] = dict.fromkeys(("team", "model", "route", "provider", "kind", "served_model"), "x")
    usage = Usage(input=3, searches=1)
    cache.put(
        Entry(
            "a" * 64,
            usage=usage,
            free=False,
            created_at=now,
            expires_at=now + 60,
            answer=kept,
            form=form,
            ignored=("top_k", "seed"),
            **names,
        )
    )
    store.Writer(cache, origin="one").write(10)
    other = Cache(1_000_000, default_ttl=60)
    store.Writer(other, origin="two").read()
    found = other.get("a" * 64, now)
    assert found is not None
    assert (found.answer, found.form, found.usage, found.ignored) == (kept, form, usage, ("top_k", "seed"))


def test_a_streams_events_stay_as_they_are_and_a_plain_answer_stays_an_object(ops: Client) -> None:
    events = "event: a\ndata: {}\n\n"
    stream = rows.entry(answer=events, form="events")
    assert edit(ops, stream, answer="data: other", pinned="on").status_code == 302
    assert (stream.answer, stream.pinned) == (events, True)
    plain = rows.entry("cd" * 32, answer='{"type":"message"}', form="body")
    assert edit(ops, plain, answer='{"type":"other"}').status_code == 302
    assert plain.answer == '{"type":"other"}'
    assert "answer" in edit(ops, plain, answer="[1]").context["adminform"].form.errors
