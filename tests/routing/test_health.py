"""Health from live traffic."""

from routing.health import FAILURES, MINUTE, REMEMBERED, REST, STALE, Health

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
    assert health.state("local/llama", NOW + REST - 1) == "failing"
    assert health.state("local/llama", NOW + REST) == "unknown"
    health.failed("local/llama", "upstream_error", NOW + REST + 1)
    assert health.state("local/llama", NOW + REST + 2) == "failing"


def test_it_forgives_with_one_success() -> None:
    health = failing()
    health.succeeded("local/llama", NOW + 1)
    assert health.state("local/llama", NOW + 1) == "ok"


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
    assert health.state("p/m", 6_400.0) == "unknown"


def test_it_forgets_the_oldest_of_very_many_targets() -> None:
    health = failing("local/first")
    for number in range(REMEMBERED):
        health.succeeded(f"local/{number}", NOW)
    assert health.state("local/first", NOW) == "unknown"
    assert health.state(f"local/{REMEMBERED - 1}", NOW) == "ok"
