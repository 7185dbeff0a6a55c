"""Breakers between processes, through their table."""

from concurrent.futures import Future
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from routing.breaker import FIRST_REST, PROBE_SECONDS
from routing.health import Health
from routing.models import Breaker
from routing.probes import Ask, Probes
from routing.store.breakers import Exchange, known

pytestmark = pytest.mark.django_db
NOW = 1_800_000_000.0


class Process:
    def __init__(self, name: str) -> None:
        self.health = Health()
        self.share = Exchange(self.health, name)

    def fail(self, times: int = 3) -> None:
        for _ in range(times):
            self.health.failed("p/m", "upstream_timeout", NOW)

    @property
    def resting(self) -> bool:
        return self.health.resting("p/m", NOW + 1)


@pytest.fixture
def two() -> tuple[Process, Process]:
    return Process("one"), Process("two")


def test_what_one_process_finds_out_the_other_knows(two: tuple[Process, Process]) -> None:
    one, other = two
    one.fail()
    one.share()
    other.share()
    assert other.resting
    row = Breaker.objects.get()
    assert (row.target, row.state, row.reason) == ("p/m", "open", "3 failures in a row, the last upstream_timeout")
    one.health.succeeded("p/m", NOW + 2)
    one.share()
    other.share()
    assert not other.resting
    assert Breaker.objects.get().state == "closed"


def test_a_process_that_starts_knows_what_the_others_know(two: tuple[Process, Process]) -> None:
    one, _ = two
    one.fail()
    one.share()
    late = Process("late")
    late.share()
    assert late.resting


def test_in_quiet_times_nothing_is_written(two: tuple[Process, Process]) -> None:
    one, _ = two
    one.fail()
    one.share()
    one.fail()  # open already: nothing moves
    with CaptureQueriesContext(connection) as queries:
        for _ in range(5):
            one.share()
    assert {query["sql"].split()[0] for query in queries} == {"SELECT"}


def test_what_was_opened_by_hand_stays_so_whatever_traffic_says(two: tuple[Process, Process]) -> None:
    one, other = two
    Breaker.objects.create(target="p/m", state="open", forced=True, note="too dear", author="olga")
    one.share()
    assert one.health.barred("p/m") == "too dear"
    other.fail()  # before it heard of it
    other.share()
    row = Breaker.objects.get()
    assert (row.forced, row.note, row.author) == (True, "too dear", "olga")
    assert other.health.barred("p/m") == "too dear"


def test_what_a_person_closes_is_closed_everywhere(two: tuple[Process, Process]) -> None:
    one, other = two
    one.fail()
    one.share()
    other.share()
    Breaker.objects.update(state="closed", origin="", changed_at="2030-01-01T00:00Z")
    for each in two:
        each.share()
        assert not each.resting
    assert [each.state for each in known()] == ["closed"]


def test_what_could_not_be_written_is_written_later(two: tuple[Process, Process], monkeypatch: Any) -> None:
    one, _ = two
    one.fail()
    with monkeypatch.context() as patched:
        patched.setattr(Breaker.objects, "get_or_create", lambda **_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            one.share()
    one.share()
    assert Breaker.objects.get().state == "open"


def half_open(*processes: Process) -> float:
    """Have all know of a target that may be tried again, and return that moment."""
    processes[0].fail()
    for each in processes:
        each.share()
    return NOW + FIRST_REST


class Loop:
    """An event loop of another thread, as far as it is needed."""

    def is_closed(self) -> bool:
        return False

    def call_soon_threadsafe(self, work: Any, *args: Any) -> None:
        work(*args)


def may_try(process: Process, opened: int = 1) -> bool:
    probes, loop = Probes(), Loop()
    ask = Ask("p/m", opened, loop, Future())  # type: ignore[arg-type]
    probes.asks.append(ask)
    process.share.answer(probes)
    return bool(ask.waiter.result())


def test_one_process_of_all_tries_a_half_open_target(two: tuple[Process, Process]) -> None:
    one, other = two
    half_open(one, other)
    assert [may_try(one), may_try(other), may_try(one)] == [True, False, True]


def test_who_has_not_heard_that_the_trial_failed_does_not_try_again(two: tuple[Process, Process]) -> None:
    one, other = two
    later = half_open(one, other)
    assert may_try(one) and one.health.enter("p/m", later) == "probe"
    one.health.failed("p/m", "upstream_timeout", later)
    one.share()
    assert not may_try(other)  # it asks for the first opening, and this is the second
    assert may_try(other, opened=2)


def test_what_one_took_upon_itself_and_never_ended_goes_to_another(two: tuple[Process, Process]) -> None:
    one, other = two
    half_open(one, other)
    assert may_try(one)
    Breaker.objects.update(probed_at=timezone.now() - timedelta(seconds=PROBE_SECONDS + 1))
    assert may_try(other)


def test_without_the_database_each_tries_for_itself(two: tuple[Process, Process], monkeypatch: Any) -> None:
    one, _ = two
    half_open(one)
    monkeypatch.setattr(Breaker.objects, "filter", lambda **_: 1 / 0)
    probes, ask = Probes(), Ask("p/m", 1, Loop(), Future())  # type: ignore[arg-type]
    probes.asks.append(ask)
    with pytest.raises(ZeroDivisionError):
        one.share.answer(probes)
    assert ask.waiter.result()
