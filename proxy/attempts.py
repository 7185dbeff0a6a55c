"""The only place where a call is tried again: at the next target, at the same one after a pause, at a larger one.

Every target is tried once, best first, without a pause. Only when all have failed, those that failed for a reason that
may pass are tried again, each time after a longer pause, or after the one that the provider asked for.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from proxy.errors import (
    AllTargetsFailed,
    UpstreamError,
    UpstreamLost,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from routing.health import Health
from routing.probes import Probes
from routing.values import Target

T = TypeVar("T")

# Seconds before the first retry, by class of error; doubled for each further one, and jittered. Other classes never
# are tried at the same target again: they would fail again, or may have been answered and billed already.
PAUSES = {"connect": 0.1, "timeout": 0.1, "conflict": 0.25, "rate_limit": 0.5, "server": 0.25}
LONGEST_PAUSE = 10.0  # seconds; a provider who asks for more gets it from the caller, who is told how long
CONFLICTS = frozenset({408, 409})
_TOO_LONG = re.compile(r"maximum context length|context[ _](?:length|window|size)|prompt is too long", re.IGNORECASE)


@dataclass(slots=True)
class Attempts:
    """How one call is tried. `retries` is how many attempts there may be beyond one at each target.

    `deadline` is in monotonic seconds: no pause goes beyond it.
    """

    health: Health
    clock: Callable[[], float]
    draw: Callable[[], float]
    retries: int = 0
    deadline: float = float("inf")
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    probes: Probes = field(default_factory=Probes)
    failures: dict[str, UpstreamError] = field(default_factory=dict)
    _passing: list[Target] = field(default_factory=list)  # failed for a reason that may pass
    _rested: list[Target] = field(default_factory=list)  # not tried, since it is in trouble

    async def first_success(self, targets: Sequence[Target], send: Callable[[Target], Awaitable[T]]) -> T:
        """Send to each target in turn and return the first answer.

        For a stream, `send` must return only after the first chunk has arrived: until then nothing has reached
        the caller and another target may be tried.

        Raises UpstreamRefused at once when a provider blames the request itself, and AllTargetsFailed, listing
        every failure, when the targets run out.
        """
        queue = list(targets)
        tried = 0
        while True:
            while queue:
                target = queue.pop(0)
                try:
                    return await self._send(target, send)
                except UpstreamError as error:
                    queue = self._after(error, target, queue)
            pause = self._pause(tried)
            if pause is None:
                raise self._failed()
            tried += 1
            queue, self._passing = [self._passing[0]], self._passing[1:]
            await self.sleep(pause)

    async def _send(self, target: Target, send: Callable[[Target], Awaitable[T]]) -> T:
        """Send, if the target's breaker lets us."""
        name, health = target.name, self.health
        entry = health.enter(name, self.clock())
        if entry == "free":
            return await send(target)
        if entry == "refused":
            raise Resting(target.name)
        if entry == "probe" and not await self._may_try(name):
            raise TriedElsewhere(name)
        good = False
        try:
            answer = await send(target)
            good = True
            return answer
        finally:
            health.leave(name, entry, self.clock(), good=good)

    async def _may_try(self, name: str) -> bool:
        """Ask whether the half-open target is ours to try: one call of all processes does."""
        health, ours = self.health, False
        try:
            ours = await self.probes.ours(name, health.openings(name))
        finally:
            if not ours:
                health.give_way(name, self.clock())
        return ours

    def _after(self, error: UpstreamError, target: Target, queue: list[Target]) -> list[Target]:
        """Return who is left to be tried after a failure. Raises `error` where nobody is."""
        if isinstance(error, TriedElsewhere):
            return [*queue, target]  # as a last resort, like all that rest
        if isinstance(error, Resting):
            self._rested.append(target)
            return queue
        if error.try_next:
            self.failures[target.name] = error
            if class_of(error):
                self._passing.append(target)
            return queue
        if too_long(error) and (larger := larger_than(target, queue)):
            self.failures[target.name] = error
            self._passing.clear()
            return larger
        raise error

    def _pause(self, tried: int) -> float | None:
        """Return how long to wait before trying again, None where nobody is to be tried again."""
        if tried >= self.retries or not self._passing:
            return None
        self._passing.sort(key=self._asked)  # stable: among equals the best stays first
        first = self._passing[0]
        usual = PAUSES[class_of(self.failures[first.name])] * 2**tried
        pause = max(self._asked(first), usual * (0.5 + self.draw()))
        now = asyncio.get_running_loop().time()
        return pause if pause <= LONGEST_PAUSE and now + pause < self.deadline else None

    def _asked(self, target: Target) -> float:
        """Return how long the provider asked us to wait."""
        error = self.failures[target.name]
        return float(error.retry_after or 0) if error.asked_to_wait else 0.0

    def _failed(self) -> UpstreamError:
        if self.failures:
            return AllTargetsFailed(self.failures)
        now = self.clock()
        waits = [self.health.rests_until(target.name) - now for target in self._rested]
        return UpstreamError(
            "Every target of this model is in trouble and is left alone for a while.",
            status=503,
            code="targets_resting",
            retry_after=max(1, int(min(waits, default=1.0) + 0.999)),
        )


class Resting(UpstreamError):
    """The target's breaker lets nobody through; it was not called."""

    sent = False


class TriedElsewhere(UpstreamError):
    """Another process has a call under way that finds out how the target is; it was not called."""

    sent = False


def class_of(error: UpstreamError) -> str:
    """Return the class of an error that may pass, "" for one after which the same target is not tried again."""
    if isinstance(error, UpstreamUnreachable):
        return "" if error.code == "upstream_forbidden_address" else "connect"
    if isinstance(error, UpstreamTimeout):
        return "timeout" if error.sent else "connect"
    if isinstance(error, UpstreamLost) or error.code == "insufficient_quota":
        return ""
    status = error.upstream_status or 0
    if status in CONFLICTS:
        return "conflict"
    return "rate_limit" if status == 429 else "server" if status >= 500 else ""


def too_long(error: UpstreamError) -> bool:
    """Say whether a provider refused the request because it does not fit into the model's context."""
    return isinstance(error, UpstreamRefused) and (
        error.code == "context_length_exceeded" or _TOO_LONG.search(error.message) is not None
    )


def larger_than(target: Target, others: Sequence[Target]) -> list[Target]:
    """Return those of `others` that are said to take more than `target`, or to have no bound where it has one."""
    most = _largest(target)
    return [each for each in others if _largest(each) > most]


def _largest(target: Target) -> float:
    conditions = target.conditions
    return float("inf") if conditions is None or conditions.max_context is None else conditions.max_context
