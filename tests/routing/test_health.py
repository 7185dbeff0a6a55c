"""Health from live traffic."""

from dataclasses import replace

import pytest

from routing.breaker import FAILURES, FIRST_REST, LAST_RESORT, PROBE_SECONDS, WINDOW_CALLS
from routing.health import MINUTE, REMEMBERED, STALE, Change, Health

NOW = 1_800_000_000.0


def failing(name: str = "local/llama") -> Health:
    health = Health()
    for _ in range(FAILURES):
        health.failed(name, "upstream_timeout", NOW)
    return health


def test_it_knows_nothing_before_the_first_call() -> None:
    assert Health().state("local/llama", NOW) == "unknown"
    assert Health().providers(NOW) == {}


def test_it_is_ok_after_a_success_and_unknown_after_a_long_silence() -> None:
    health = Health()
    health.succeeded("local/llama", NOW)
    assert health.state("local/llama", NOW + STALE - 1) == "ok"
    assert health.state("local/llama", NOW + STALE) == "unknown"


def test_it_does_not_give_up_on_a_single_failure() -> None:
    health = Health()
    for _ in range(FAILURES - 1):
        health.failed("local/llama", "upstream_error", NOW)
    assert health.state("local/llama", NOW) == "ok"


def test_it_lets_a_failing_target_rest_and_then_gives_it_a_chance() -> None:
    health = failing()
    assert health.state("local/llama", NOW + FIRST_REST - 1) == "failing"
    assert health.state("local/llama", NOW + FIRST_REST) == "ok"
    assert health.enter("local/llama", NOW + FIRST_REST) == "probe"
    assert health.state("local/llama", NOW + FIRST_REST) == "failing"  # for all others, while one tries it


def test_it_forgives_with_one_success() -> None:
    health = failing()
    health.succeeded("local/llama", NOW + 1)
    assert health.state("local/llama", NOW + 1) == "ok"
    assert health.calm


def test_a_call_from_before_says_nothing_about_a_target_in_trouble() -> None:
    health = failing()
    health.succeeded("local/llama", NOW + 1, began=NOW - 9)
    assert health.state("local/llama", NOW + 1) == "failing"


def test_it_rests_twice_as_long_each_time_that_the_one_who_tries_it_fails() -> None:
    health, now, rests = failing(), NOW, []
    for _ in range(6):
        rests.append(health.rests_until("local/llama") - now)
        now = health.rests_until("local/llama")
        entry = health.enter("local/llama", now)
        assert entry == "probe"
        health.failed("local/llama", "upstream_error", now)
        health.leave("local/llama", entry, now, good=False)
    assert rests == [5, 10, 20, 40, 60, 60]


def test_exactly_one_tries_a_half_open_target() -> None:
    health = failing()
    later = NOW + FIRST_REST
    entries = [health.enter("local/llama", later) for _ in range(5)]
    assert entries.count("probe") == 1
    health.leave("local/llama", "guest", later, good=False)
    assert health.enter("local/llama", later) != "probe"
    health.leave("local/llama", "probe", later, good=False)  # its caller hung up: nothing was learned
    assert health.enter("local/llama", later) == "probe"


def test_a_probe_that_never_comes_back_does_not_block_for_ever() -> None:
    health = failing()
    assert health.enter("local/llama", NOW + FIRST_REST) == "probe"
    assert health.enter("local/llama", NOW + FIRST_REST + PROBE_SECONDS) == "probe"


def test_an_answer_that_begins_closes_it() -> None:
    health = failing()
    entry = health.enter("local/llama", NOW + FIRST_REST)
    health.leave("local/llama", entry, NOW + FIRST_REST, good=True)
    assert health.calm
    assert [each.state for each in health.changes] == ["open", "closed"]


def test_few_are_let_through_to_what_failed_when_it_was_tried() -> None:
    health = failing()
    assert "refused" not in {health.enter("local/llama", NOW + 1) for _ in range(50)}  # a blip refuses nobody
    health = failing()
    entry = health.enter("local/llama", NOW + FIRST_REST)
    health.failed("local/llama", "upstream_timeout", NOW + FIRST_REST)
    health.leave("local/llama", entry, NOW + FIRST_REST, good=False)
    entries = [health.enter("local/llama", NOW + FIRST_REST + 1) for _ in range(50)]
    assert entries == ["guest"] * LAST_RESORT + ["refused"] * (50 - LAST_RESORT)


def test_a_high_rate_of_errors_opens_it_though_some_succeed() -> None:
    health = Health()
    for number in range(WINDOW_CALLS - 1):
        (health.failed("p/m", "upstream_error", NOW) if number % 2 else health.succeeded("p/m", NOW))
    assert health.calm
    health.failed("p/m", "upstream_error", NOW)
    (change,) = health.changes
    assert change.reason == "10 of 20 calls failed within 30 seconds, the last with upstream_error"


def test_what_was_before_it_closed_does_not_open_it_again() -> None:
    health = Health()
    for number in range(WINDOW_CALLS):
        (health.failed("p/m", "upstream_error", NOW) if number % 2 else health.succeeded("p/m", NOW))
    assert not health.calm
    health.succeeded("p/m", NOW + 9)
    health.failed("p/m", "upstream_error", NOW + 10)
    assert health.calm


def test_a_refused_credential_opens_it_at_once() -> None:
    health = Health()
    health.failed("p/m", "upstream_auth_error", NOW)
    assert health.resting("p/m", NOW)
    assert health.changes[0].reason == "it does not accept our credential"


@pytest.mark.parametrize(("wait", "rests"), [(1, 1), (30, 30), (3600, 60)])
def test_it_leaves_a_target_alone_for_as_long_as_its_provider_asks(wait: int, rests: int) -> None:
    health = Health()
    health.failed("p/m", "upstream_rate_limited", NOW, wait=wait)
    assert health.resting("p/m", NOW + rests - 0.1)
    assert health.enter("p/m", NOW) == "free"  # where there is no other it may be called
    assert not health.resting("p/m", NOW + rests)
    assert health.calm
    assert [each.until - NOW for each in health.changes] == ([rests] if wait > 5 else [])


def test_a_busy_provider_is_no_news_each_time_that_it_says_so() -> None:
    health = Health()
    for second in range(20):
        health.failed("p/m", "upstream_rate_limited", NOW + second, wait=30)
        for _ in range(2):
            health.succeeded("p/m", NOW + second, began=NOW - 1)
    assert [each.until - NOW for each in health.changes] == [30, 35, 40, 45]


def test_it_tells_what_moved_and_takes_what_others_found_out() -> None:
    here, there = failing(), Health()
    (change,) = here.changes
    assert (change.target, change.state, change.reason) == (
        "local/llama",
        "open",
        "3 failures in a row, the last upstream_timeout",
    )
    there.orders.append(change)
    assert not there.calm
    assert there.resting("local/llama", NOW + 1)
    assert not there.changes  # what one was told is no news
    there.orders.append(replace(change, state="closed"))
    assert not there.resting("local/llama", NOW + 1)


def test_what_was_opened_by_hand_is_closed_by_hand_alone() -> None:
    health = Health()
    health.orders.append(Change("p/m", "open", "too dear", NOW, NOW, forced=True))
    assert health.barred("p/m") == "too dear"
    health.succeeded("p/m", NOW + 1)
    assert health.enter("p/m", NOW + 9_999) == "refused"
    health.orders.append(Change("p/m", "closed", "", NOW, NOW))
    assert health.barred("p/m") == ""
    assert health.calm


def test_it_says_how_long_answers_take_of_late() -> None:
    health = Health()
    assert health.seconds("p/m", stream=False) is None
    for seconds in (1.0, 2.0):
        health.took("p/m", seconds, stream=False)
    assert health.seconds("p/m", stream=False) == pytest.approx(1.2)
    assert health.seconds("p/m", stream=True) is None


def test_it_tells_targets_of_one_provider_apart() -> None:
    health = failing("local/a/b")
    health.succeeded("local/other", NOW)
    assert health.state("local/a/b", NOW) == "failing"
    assert health.providers(NOW)["local"]["state"] == "ok"


def test_it_sums_up_each_provider() -> None:
    health = Health()
    health.succeeded("local/llama", NOW)
    health.succeeded("local/llama", NOW + 0.4)
    health.failed("local/qwen", "upstream_timeout", NOW + 5)
    assert health.providers(NOW + 10) == {
        "local": {
            "state": "ok",
            "resting_targets": 0,
            "last_success_age": 9.6,
            "last_error": "upstream_timeout",
            "last_error_age": 5.0,
            "last_minute": {"succeeded": 2, "failed": 1},
        }
    }


def test_it_counts_only_the_last_minute() -> None:
    health = Health()
    for second in range(3 * MINUTE):
        health.succeeded("local/llama", NOW + second)
    assert health.providers(NOW + 3 * MINUTE - 1)["local"]["last_minute"]["succeeded"] == MINUTE
    assert health.providers(NOW + 10 * MINUTE)["local"]["last_minute"]["succeeded"] == 0


def test_it_survives_a_clock_that_goes_back() -> None:
    health = failing()
    health.succeeded("local/llama", NOW - 100)
    assert health.state("local/llama", NOW - 100) == "ok"
    assert health.providers(NOW - 100)["local"]["last_error_age"] == 0.0


def test_a_clock_set_back_does_not_let_it_rest_for_as_long() -> None:
    health = Health()
    for _ in range(FAILURES):
        health.failed("p/m", "upstream_error", 10_000.0)
    assert health.state("p/m", 9_999.0) == "failing"
    assert health.state("p/m", 6_400.0) != "failing"


def test_it_forgets_the_oldest_of_very_many_targets() -> None:
    health = Health()
    health.failed("local/first", "upstream_error", NOW)
    for number in range(REMEMBERED):
        health.succeeded(f"local/{number}", NOW)
    assert health.state("local/first", NOW) == "unknown"
    assert health.state(f"local/{REMEMBERED - 1}", NOW) == "ok"
