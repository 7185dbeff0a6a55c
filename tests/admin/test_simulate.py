"""The simulator, its JSON and its command; replays against the draft. Nothing is called."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.ledger.ids import uuid7
from accounts.models import Price, RequestRecord
from qlite_site.models import Replay
from qlite_site.simulate import runs
from routing import store
from routing.decide import marked
from routing.models import Breaker, Provider, Route, Target
from tests.admin.rows import HOSTILE, person, provider, root, route, signed_in

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)


def published() -> Provider:
    """`gpt` goes to provider a, then to b; a has a price."""
    a, b = provider("a"), provider("b")
    made = route("gpt", a)
    Target.objects.create(route=made, provider=b, tier=1, position=1)
    Price.objects.create(model="gpt", provider="a", effective_from=NOW - timedelta(days=9), input=10**9, output=10**9)
    store.publish("root", "first")
    return a


def recorded(number: int, **facts: Any) -> str:
    at = NOW - timedelta(minutes=number)
    id = uuid7(at.timestamp())
    facts = {"model_asked": "gpt", "team": "red", "status": "settled", "input": 100, "output": 10} | facts
    RequestRecord.objects.create(id=id, at=at, day=at.date(), **facts)
    return id


def simulated(client: Client, **asked: Any) -> dict[str, Any]:
    answer = client.get(reverse("simulator"), {"tokens": 1000, "table": "serving", "format": "json", **asked})
    found: dict[str, Any] = answer.json()
    return found


def test_it_says_where_a_request_would_go_and_at_what_cost() -> None:
    published()
    client = signed_in(root())
    said = simulated(client, model="gpt")
    assert [(each["target"], each["estimated_cost"]) for each in said["candidates"]] == [
        ("a/gpt", "0.001500000"),
        ("b/gpt", None),
    ]
    assert said["why"] == ["'gpt' is the name of a route"]
    assert simulated(client, model="unknown")["refused"].startswith("404 model_not_found")


def test_a_target_whose_breaker_was_opened_by_hand_is_left_out() -> None:
    published()
    moment = timezone.now()
    Breaker.objects.create(
        target="a/gpt", state="open", forced=True, note="bills wrong", since=moment, until=moment, changed_at=moment
    )
    said = simulated(signed_in(root()), model="gpt")
    assert [each["target"] for each in said["candidates"]] == ["b/gpt"]
    assert "bills wrong" in said["left_out"][0]["reason"]


def test_the_draft_can_be_asked_before_it_serves() -> None:
    a = published()
    Target.objects.filter(provider=a).update(enabled=False)
    client = signed_in(root())
    assert simulated(client, model="gpt")["candidates"][0]["target"] == "a/gpt"
    draft = simulated(client, model="gpt", table="draft")
    assert [each["target"] for each in draft["candidates"]] == ["b/gpt"]
    assert draft["left_out"] == [{"target": "a/gpt", "reason": "switched off"}]


def test_the_page_shows_it_and_escapes_what_people_typed() -> None:
    published()
    client = signed_in(root())
    page = client.get(reverse("simulator"), {"model": "gpt", "tokens": 10, "table": "serving"}).content.decode()
    assert "a/gpt" in page
    assert "no price" in page
    hostile = client.get(reverse("simulator"), {"model": HOSTILE, "team": HOSTILE, "tokens": 1, "table": "serving"})
    assert "<script>alert" not in hostile.content.decode()


def test_bad_features_are_named() -> None:
    client = signed_in(root())
    answer = client.get(reverse("simulator"), {"model": "m", "tokens": -1, "tags": "x", "table": "t", "format": "json"})
    assert answer.status_code == 400
    assert sorted(answer.json()["errors"]) == ["table", "tags", "tokens"]


def test_the_command_says_the_same() -> None:
    published()
    out = io.StringIO()
    call_command("route", "explain", "gpt", "--team", "red", "--tokens", "1000", stdout=out)
    assert "1. a/gpt" in out.getvalue()
    assert "about $0.001500000" in out.getvalue()
    out = io.StringIO()
    call_command("route", "explain", "gpt", "--json", stdout=out)
    assert json.loads(out.getvalue())["route"] == "gpt"
    with pytest.raises(CommandError, match="does not have -5 tokens"):
        call_command("route", "explain", "gpt", "--tokens", "-5")
    with pytest.raises(CommandError, match="write name=value"):
        call_command("route", "explain", "gpt", "--tag", "x")


def run_now(size: int = 1000) -> Replay:
    now = timezone.now()
    run = Replay.objects.create(
        author="root",
        since=now - timedelta(days=1),
        until=now,
        size=size,
        serving=runs.tables.serving_document(),
        draft=runs.tables.draft_document(),
        beat_at=now,
    )
    runs.work(run.pk)
    run.refresh_from_db()
    return run


def test_a_replay_says_who_moves_and_what_it_would_cost() -> None:
    a = published()
    for number in range(90):
        recorded(number + 1)
    recorded(5, model_asked="gone")
    recorded(60 * 24 + 5)  # before the window
    Route.objects.create(name="gone").targets.create(provider=a, model="gpt")
    Target.objects.filter(route__name="gpt", provider=a).update(enabled=False)
    run = run_now()
    assert (run.state, run.tally["seen"], run.tally["moved"]) == ("done", 91, 91)
    assert run.tally["moves"] == [["a/gpt", "b/gpt", 90], ["refused", "a/gpt", 1]]
    assert (run.tally["cost_before"], run.tally["cost_after"]) == (90 * 110_000, 110_000)
    assert (run.tally["unpriced_after"], run.tally["refused_before"]) == (90, 1)
    page = signed_in(root()).get(reverse("replay", args=[run.pk])).content.decode()
    assert "a/gpt" in page
    assert "-$0.0098" in page


def test_a_replay_knows_what_was_asked_for_and_leaves_copies_out() -> None:
    a = published()
    recorded(1)
    recorded(2, features=1, prompt_bytes=400)
    recorded(3, features=2, prompt_bytes=40_000)
    recorded(4, key_label="shadow", team="platform")
    recorded(5, surface="batch", key_id="k1")
    recorded(6, surface="background", key_id="k1")
    recorded(7, surface="openai", key_id="k1", model_asked="")
    first = Target.objects.get(route__name="gpt", provider=a)
    first.tools, first.max_context = "never", 1000
    first.save()
    run = run_now()
    assert (run.tally["seen"], run.tally["moves"]) == (3, [["a/gpt", "b/gpt", 2]])


def test_a_replay_knows_the_session_of_a_call_on_a_sticky_route() -> None:
    a = published()
    Route.objects.update(sticky="user")
    Target.objects.update(tier=0)
    store.publish("root", "sticky")
    client, users = signed_in(root()), [f"user-{number}" for number in range(40)]
    for number, user in enumerate(users, 1):
        recorded(number, session=int(marked(user)))
    went = [simulated(client, model="gpt", session=user)["candidates"][0]["target"] for user in users]
    at_a = went.count("a/gpt")
    assert 0 < at_a < len(users)
    Target.objects.filter(provider=a).update(enabled=False)
    tally = run_now().tally
    assert tally["moves"] == [["a/gpt", "b/gpt", at_a]]
    assert (tally["cost_before"], tally["unpriced_before"]) == (at_a * 110_000, len(users) - at_a)


def test_a_replay_counts_no_cost_for_what_the_cache_answered() -> None:
    a = published()
    recorded(1)
    recorded(2, cached=True)
    Target.objects.filter(provider=a).update(enabled=False)
    tally = run_now().tally
    assert (tally["seen"], tally["moved"]) == (2, 2)
    assert (tally["cost_before"], tally["unpriced_after"]) == (110_000, 1)


def test_calls_of_a_provider_s_own_api_are_not_taken_for_refused() -> None:
    provider("oa", kind="openai", by_name=True)
    published()
    recorded(1, surface="openai-native", model_asked="gpt-5")
    recorded(2, surface="openai-native", model_asked="GET files")
    recorded(3, surface="chat", model_asked="gpt-5")
    tally = run_now().tally
    assert (tally["seen"], tally["refused_before"], tally["refused_after"]) == (2, 1, 1)


def test_a_replay_takes_the_newest_and_no_more_than_was_asked() -> None:
    published()
    ids = [recorded(number + 1) for number in range(100)]
    run = Replay(since=NOW - timedelta(days=1), until=timezone.now(), size=90)
    assert [each.id for piece in runs.pieces(run) for each in piece] == ids[:90]


def test_a_cancelled_replay_stays_cancelled() -> None:
    published()
    recorded(1)
    client = signed_in(root())
    run = run_now()
    Replay.objects.update(state=Replay.State.RUNNING)
    client.post(reverse("replay_cancel", args=[run.pk]))
    runs.work(run.pk)
    run.refresh_from_db()
    assert run.state == "cancelled"


def test_who_only_looks_neither_starts_nor_cancels_a_replay() -> None:
    published()
    run = run_now()
    Replay.objects.update(state=Replay.State.RUNNING)
    viewer, ops = signed_in(person("vera", "viewer")), signed_in(person("olga", "ops"))
    asked = {"window": "1", "size": 1000}
    assert '<button class="ql-button">Replay' not in viewer.get(reverse("replays")).content.decode()
    assert viewer.post(reverse("replays"), asked).status_code == 403
    assert viewer.get(reverse("replay", args=[run.pk])).status_code == 200
    assert viewer.post(reverse("replay_cancel", args=[run.pk])).status_code == 403
    assert Replay.objects.get().state == Replay.State.RUNNING
    assert ops.post(reverse("replay_cancel", args=[run.pk])).status_code == 302
    assert Replay.objects.get().state == Replay.State.CANCELLED


def test_a_replay_whose_process_died_is_called_failed() -> None:
    published()
    run = run_now()
    Replay.objects.update(state=Replay.State.RUNNING, beat_at=timezone.now() - timedelta(minutes=1))
    page = signed_in(root()).get(reverse("replay", args=[run.pk])).content.decode()
    assert "The process that ran it has ended." in page
    assert "Nobody would go elsewhere" not in page


def test_a_replay_of_nothing_says_so() -> None:
    published()
    page = signed_in(root()).get(reverse("replay", args=[run_now().pk])).content.decode()
    assert "No request was recorded in that time" in page


def test_only_so_many_replays_run_at_once() -> None:
    published()
    client = signed_in(root())
    running = [run_now() for _ in range(runs.AT_ONCE)]
    Replay.objects.update(state=Replay.State.RUNNING, beat_at=timezone.now())
    asked = {"window": "1", "size": 1000}
    page = client.post(reverse("replays"), asked, follow=True).content.decode()
    assert "replays run already" in page and Replay.objects.count() == len(running)
    Replay.objects.filter(pk=running[0].pk).update(beat_at=timezone.now() - timedelta(minutes=1))  # its process died
    runs.refuse_more()
    Replay.objects.update(beat_at=timezone.now(), state=Replay.State.CANCELLED)
    runs.refuse_more()


def test_who_may_not_see_the_routing_table_sees_none_of_it() -> None:
    published()
    client = signed_in(person("lea", "team-lead"))
    for name in ("simulator", "replays"):
        assert client.get(reverse(name)).status_code in {302, 403}
    assert client.post(reverse("replays"), {"window": "1", "size": 1000}).status_code in {302, 403}
    assert not Replay.objects.exists()


def test_an_address_may_leave_away_what_has_a_usual_value() -> None:
    published()
    client = signed_in(root())
    said = client.get(reverse("simulator"), {"model": "gpt", "format": "json"})
    assert said.status_code == 200
    assert said.json()["candidates"][0]["estimated_cost"] == "0.001500000"
    assert client.get(reverse("simulator"), {"format": "json"}).status_code == 400
    assert "This field is required" not in client.get(reverse("simulator"), {"model": "gpt"}).content.decode()
