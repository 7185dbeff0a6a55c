"""The one place where a call is tried again: who is next, after which pause, and when it ends."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from proxy.attempts import LONGEST_PAUSE, PAUSES, Attempts, class_of
from proxy.errors import (
    AllTargetsFailed,
    StreamCut,
    UpstreamError,
    UpstreamLost,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from routing.breaker import ELSEWHERE_SECONDS, FIRST_REST
from routing.health import Health
from routing.probes import Probes
from routing.values import Conditions, Target
from tests.routing.tables import target

NOW = 1_800_000_000.0
A, B, C = target("a/1"), target("b/1"), target("c/1")


def status(number: int, wait: int | None = None) -> UpstreamError:
    error = UpstreamError("x", status=502, retry_after=wait, upstream_status=number)
    error.asked_to_wait = wait is not None
    return error


def refused(code: str | None = None, message: str = "no") -> UpstreamRefused:
    error = UpstreamRefused(message, upstream_status=400)
    error.code = code
    return error


class Script:
    """Answers each send with the next outcome of its target; notes who was called and which pauses were made."""

    def __init__(self, **outcomes: list[UpstreamError | str]) -> None:
        self.outcomes = outcomes
        self.called: list[str] = []
        self.pauses: list[float] = []
        self.health = Health()

    async def send(self, target: Target) -> str:
        self.called.append(target.provider.name)
        outcome = self.outcomes[target.provider.name].pop(0)
        if isinstance(outcome, str):
            return outcome
        raise outcome

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def run(self, *targets: Target, retries: int = 0, deadline: float = float("inf")) -> str:
        attempts = Attempts(self.health, lambda: NOW, lambda: 0.5, retries, deadline, self.sleep)
        return await attempts.first_success(targets, self.send)


async def test_it_tries_every_target_once_without_a_pause() -> None:
    script = Script(a=[status(500)], b=[UpstreamUnreachable("x")], c=["fine"])
    assert await script.run(A, B, C, retries=3) == "fine"
    assert (script.called, script.pauses) == (["a", "b", "c"], [])


async def test_only_then_it_tries_again_after_growing_pauses() -> None:
    script = Script(a=[status(500), status(500), "fine"], b=[refused_by_dialect()])
    assert await script.run(A, B, retries=2) == "fine"
    assert script.called == ["a", "b", "a", "a"]
    assert script.pauses == [PAUSES["server"], PAUSES["server"] * 2]


def refused_by_dialect() -> UpstreamError:
    return UpstreamError("cannot say", status=400, code="unsupported")


async def test_pauses_are_jittered_around_the_usual() -> None:
    pauses = []
    for drawn in (0.0, 0.99):
        script = Script(a=[status(500), "fine"])
        attempts = Attempts(script.health, lambda: NOW, lambda drawn=drawn: drawn, 1, sleep=script.sleep)  # type: ignore[misc]
        await attempts.first_success([A], script.send)
        pauses += script.pauses
    assert pauses == pytest.approx([0.5 * PAUSES["server"], 1.49 * PAUSES["server"]])


async def test_with_retries_off_each_target_is_tried_once() -> None:
    script = Script(a=[status(503)])
    with pytest.raises(AllTargetsFailed):
        await script.run(A)
    assert (script.called, script.pauses) == (["a"], [])


async def test_it_waits_as_long_as_the_provider_asks_and_goes_to_who_asks_for_less() -> None:
    script = Script(a=[status(429, wait=7)], b=[status(429, wait=3), "fine"])
    assert await script.run(A, B, retries=1) == "fine"
    assert (script.called, script.pauses) == (["a", "b", "b"], [3.0])


@pytest.mark.parametrize("wait", [LONGEST_PAUSE + 1, 3600])
async def test_it_does_not_wait_too_long_and_tells_the_caller_instead(wait: int) -> None:
    script = Script(a=[UpstreamError("busy", status=429, retry_after=wait, upstream_status=429)])
    script.outcomes["a"][0].asked_to_wait = True  # type: ignore[union-attr]
    with pytest.raises(AllTargetsFailed) as failed:
        await script.run(A, retries=3)
    assert (script.called, failed.value.retry_after, failed.value.status) == (["a"], wait, 429)


async def test_it_does_not_wait_beyond_the_deadline() -> None:
    script = Script(a=[status(429, wait=3)])
    with pytest.raises(AllTargetsFailed):
        await script.run(A, retries=3, deadline=asyncio.get_running_loop().time() + 2.9)
    assert script.pauses == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (lambda: UpstreamUnreachable("x"), "connect"),
        (lambda: UpstreamUnreachable("x", code="upstream_forbidden_address"), ""),
        (lambda: UpstreamTimeout("x", billable=True), "timeout"),
        (lambda: unsent(UpstreamTimeout("x")), "connect"),
        (lambda: status(408), "conflict"),
        (lambda: status(409), "conflict"),
        (lambda: status(429), "rate_limit"),
        (lambda: UpstreamError("x", code="insufficient_quota", upstream_status=429), ""),
        (lambda: status(500), "server"),
        (lambda: status(529), "server"),
        (lambda: status(401), ""),
        (lambda: status(404), ""),
        (lambda: UpstreamLost("x", billable=True), ""),
        (lambda: UpstreamError("x", code="upstream_invalid_response", billable=True), ""),
    ],
)
def test_it_knows_which_errors_may_pass(error: Callable[[], UpstreamError], expected: str) -> None:
    assert class_of(error()) == expected
    assert expected in {"", *PAUSES}


def unsent(error: UpstreamError) -> UpstreamError:
    error.sent = False
    return error


@pytest.mark.parametrize("error", [refused(), StreamCut("cut")])
async def test_the_callers_own_fault_and_a_begun_stream_end_it_at_once(error: UpstreamError) -> None:
    script = Script(a=[error], b=["fine"])
    with pytest.raises(type(error)):
        await script.run(A, B, retries=3)
    assert script.called == ["a"]


# --- Context windows


def sized(name: str, most: int | None) -> Target:
    return replace(target(name), conditions=Conditions(max_context=most))


async def test_what_does_not_fit_goes_to_a_larger_context() -> None:
    script = Script(a=[refused("context_length_exceeded")], b=["fine"], c=["fine"])
    assert await script.run(sized("a/1", 8000), sized("b/1", 4000), C) == "fine"
    assert script.called == ["a", "c"]


async def test_it_knows_the_words_of_those_who_give_no_code() -> None:
    script = Script(a=[refused(message="This model's maximum context length is 8192 tokens.")], b=["fine"])
    assert await script.run(sized("a/1", 8000), sized("b/1", 16_000)) == "fine"


async def test_without_a_larger_one_the_caller_sees_the_refusal() -> None:
    script = Script(a=[refused("context_length_exceeded")], b=["fine"])
    with pytest.raises(UpstreamRefused) as refusal:
        await script.run(A, sized("b/1", 16_000))
    assert refusal.value.code == "context_length_exceeded"
    assert script.called == ["a"]


# --- Breakers


def down(health: Health, name: str) -> None:
    for _ in range(3):
        health.failed(name, "upstream_timeout", NOW - 1)


async def test_a_target_in_trouble_is_still_tried_as_a_last_resort_and_closed_by_success() -> None:
    script = Script(a=["fine"])
    down(script.health, "a/1")
    assert await script.run(A) == "fine"
    assert script.health.calm


async def test_nobody_left_to_be_tried_is_a_503_that_says_when() -> None:
    script = Script()
    script.health.orders.append(forced())
    script.health.resting("a/1", NOW)
    with pytest.raises(UpstreamError) as failed:
        await script.run(A)
    assert (failed.value.status, failed.value.code, failed.value.retry_after) == (503, "targets_resting", 9)


def forced():  # type: ignore[no-untyped-def]
    from routing.health import Change

    return Change("a/1", "open", "by hand", NOW, NOW + 8.5, forced=True)


async def test_a_caller_who_leaves_while_trying_makes_room_for_the_next() -> None:
    health = Health()
    down(health, "a/1")
    later = NOW + FIRST_REST

    async def hang(target: Target) -> str:
        await asyncio.Event().wait()
        return ""

    task = asyncio.create_task(Attempts(health, lambda: later, lambda: 0.5).first_success([A], hang))
    await asyncio.sleep(0)
    assert health.resting("a/1", later)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert health.enter("a/1", later) == "probe"


def asked(answer: bool | None) -> Probes:
    """Another thread that knows which process tries a target; None for one that is silent."""
    probes = Probes()

    def wake() -> None:
        for ask in probes.taken():
            if answer is not None:
                ask.answer(answer)

    probes.wake = wake
    return probes


async def test_a_half_open_target_that_another_process_tries_comes_last() -> None:
    script = Script(a=["from a"], b=["from b"])
    down(script.health, "a/1")
    later = NOW + FIRST_REST
    attempts = Attempts(script.health, lambda: later, lambda: 0.5, probes=asked(False))
    assert await attempts.first_success([A, B], script.send) == "from b"
    assert script.health.resting("a/1", later + 0.5)  # nobody asks again for a while
    assert not script.health.resting("a/1", later + ELSEWHERE_SECONDS)


async def test_a_half_open_target_without_another_is_called_all_the_same() -> None:
    script = Script(a=["from a"])
    down(script.health, "a/1")
    attempts = Attempts(script.health, lambda: NOW + FIRST_REST, lambda: 0.5, probes=asked(False))
    assert await attempts.first_success([A], script.send) == "from a"
    assert script.health.calm


@pytest.mark.parametrize("answer", [True, None])
async def test_a_half_open_target_is_tried_by_who_may_or_gets_no_answer(answer: bool | None) -> None:
    script = Script(a=["from a"], b=["from b"])
    down(script.health, "a/1")
    attempts = Attempts(script.health, lambda: NOW + FIRST_REST, lambda: 0.5, probes=asked(answer))
    assert await attempts.first_success([A, B], script.send) == "from a"
