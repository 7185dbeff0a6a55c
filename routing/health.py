"""How targets and providers are doing, as seen in live traffic. Nobody is called to find out.

One instance belongs to one event loop; `changes` and `orders` are how it exchanges breakers with the other processes,
through the housekeeper. Times are Unix seconds, given by the caller.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from routing.breaker import LONGEST_REST, SHORT_WAIT, Breaker, Entry, Tally, trouble
from routing.breaker import State as BreakerState

State = Literal["ok", "failing", "unknown"]

STALE = 300.0  # seconds without a call after which we no longer know
MINUTE = 60
REMEMBERED = 4096  # targets; names can come from callers, through patterns
WEIGHT_OF_THE_LATEST = 0.2  # of an answer's time in a target's average


@dataclass(frozen=True, slots=True)
class Change:
    """A breaker as other processes and pages know it. `note` and `author` are there where a hand moved it."""

    target: str
    state: BreakerState
    reason: str
    since: float
    until: float
    opened: int = 0
    forced: bool = False
    note: str = ""
    author: str = ""


class Health:
    """Successes and failures by target, and summed by provider; a breaker for each target that was in trouble."""

    def __init__(self, on_change: Callable[[Change], None] = lambda change: None) -> None:
        self._targets: dict[str, Tally] = {}
        self._providers: dict[str, Tally] = {}
        self._breakers: dict[str, Breaker] = {}
        self._seconds: dict[tuple[str, bool], float] = {}
        self._on_change = on_change
        self.changes: deque[Change] = deque(maxlen=REMEMBERED)  # taken by the housekeeper
        self.orders: deque[Change] = deque()  # put in by the housekeeper: what others found out, what people decided

    # --- What live traffic tells

    def succeeded(self, target_name: str, now: float, *, began: float | None = None) -> None:
        """Note that `provider/model` answered a call that began at `began`."""
        for tally in self._tallies(target_name):
            tally.succeeded(now)
        breaker = self._breakers.get(target_name)
        # A call from before it opened says nothing about how it is now.
        if breaker is not None and not breaker.forced and (began is None or began >= breaker.since):
            self._close(target_name, now)

    def failed(self, target_name: str, error_code: str, now: float, *, wait: float | None = None) -> None:
        """Note a failure that is the target's fault; the caller's own faults do not belong here.

        `wait` is how many seconds the provider asked us to stay away.
        """
        for tally in self._tallies(target_name):
            tally.failed(error_code, now)
        breaker = self._breakers.get(target_name)
        if breaker is not None and not breaker.polite:
            self._failed_again(target_name, breaker, error_code, now, wait)
        elif reason := trouble(self._targets[target_name], error_code, now):
            self._open(target_name, reason, now)
        elif wait:
            self._pause(target_name, now, min(wait, LONGEST_REST))

    def took(self, target_name: str, seconds: float, *, stream: bool) -> None:
        """Note how long a good answer took: a stream to its beginning, a plain one to its end."""
        key = (target_name, stream)
        known = self._seconds.get(key)
        if known is None and len(self._seconds) >= REMEMBERED:
            self._seconds.pop(next(iter(self._seconds)))
        self._seconds[key] = seconds if known is None else known + (seconds - known) * WEIGHT_OF_THE_LATEST

    # --- What decisions ask

    @property
    def calm(self) -> bool:
        """Whether no breaker is open: nothing more has to be asked."""
        return not self._breakers and not self.orders

    def resting(self, target_name: str, now: float) -> bool:
        """Whether others are to be preferred to `provider/model`."""
        if self.orders:
            self._take_over()
        breaker = self._breakers.get(target_name)
        if breaker is not None and breaker.state(now) == "closed":
            del self._breakers[target_name]  # the wait that a provider asked for is over
            return False
        return breaker is not None and breaker.resting(now)

    def barred(self, target_name: str) -> str:
        """Say why nobody may call the target, "" if it may be called: somebody opened its breaker by hand."""
        if self.orders:
            self._take_over()
        breaker = self._breakers.get(target_name)
        return breaker.reason if breaker is not None and breaker.forced else ""

    def seconds(self, target_name: str, stream: bool) -> float | None:
        """Return how long answers take of late, None where nothing is known."""
        return self._seconds.get((target_name, stream))

    def enter(self, target_name: str, now: float) -> Entry:
        """Ask to call a target. Unless the answer is "free" or "refused", `leave` has to follow."""
        breaker = self._breakers.get(target_name)
        return "free" if breaker is None or breaker.polite else breaker.enter(now)

    def openings(self, target_name: str) -> int:
        """Return how often in a row the target's breaker has opened."""
        breaker = self._breakers.get(target_name)
        return breaker.opened if breaker is not None else 0

    def give_way(self, target_name: str, now: float) -> None:
        """A call of another process tries the target: the one of ours that `enter` let through does not."""
        breaker = self._breakers.get(target_name)
        if breaker is not None:
            breaker.give_way(now)

    def leave(self, target_name: str, entry: Entry, now: float, *, good: bool) -> None:
        """A call that `enter` let through is over; `good` if its answer has come, or has begun."""
        breaker = self._breakers.get(target_name)
        if breaker is not None:
            breaker.leave(entry)
            if good and not breaker.forced:
                self._close(target_name, now)

    def rests_until(self, target_name: str) -> float:
        breaker = self._breakers.get(target_name)
        return breaker.until if breaker is not None else 0.0

    # --- What pages and metrics ask

    def state(self, target_name: str, now: float) -> State:
        """Say how `provider/model` is doing. Only 'failing' is a reason to prefer another."""
        if self.resting(target_name, now):
            return "failing"
        tally = self._targets.get(target_name)
        return _state(tally, now) if tally else "unknown"

    def providers(self, now: float) -> dict[str, dict[str, Any]]:
        """Return, for each provider called so far, its state, ages in seconds and counts of the last minute."""
        if self.orders:
            self._take_over()
        trouble = self.open_by_provider(now)
        return {name: _summary(tally, now, trouble[name]) for name, tally in sorted(self._providers.items())}

    def open_by_provider(self, now: float) -> Counter[str]:
        """Return how many breakers of each provider are not closed."""
        return Counter(
            name.partition("/")[0] for name, each in list(self._breakers.items()) if each.state(now) != "closed"
        )

    # --- Moving breakers

    def _failed_again(self, name: str, breaker: Breaker, code: str, now: float, wait: float | None) -> None:
        """Only the call that tried a half-open target makes it rest longer; those of before it opened do not."""
        if breaker.forced:
            return
        if breaker.probe_since is not None:
            self._open(name, f"it failed again when it was tried, with {code}", now)
        elif wait:
            breaker.until = max(breaker.until, now + min(wait, LONGEST_REST))

    def _open(self, name: str, reason: str, now: float) -> None:
        breaker = self._breakers.get(name) or self._new(name, now)
        breaker.open(reason, now)
        self._tell(name, breaker, now)

    def _pause(self, name: str, now: float, wait: float) -> None:
        """Prefer others for as long as a provider asked us to wait."""
        breaker = self._breakers.get(name) or self._new(name, now)
        breaker.polite, breaker.reason = True, "the provider asked us to wait"
        breaker.until = max(breaker.until, now + wait)
        # Each refusal of a busy provider moves the end a little; that is no news either.
        if breaker.until - max(breaker.told_until, now) >= SHORT_WAIT:
            self._tell(name, breaker, now)

    def _new(self, name: str, now: float) -> Breaker:
        if len(self._breakers) >= REMEMBERED:
            self._breakers.pop(next(iter(self._breakers)))
        made = self._breakers[name] = Breaker("", now, now)
        return made

    def _close(self, name: str, now: float) -> None:
        breaker = self._breakers.pop(name)
        if (tally := self._targets.get(name)) is not None:
            tally.forget()
        if not breaker.polite:
            breaker.polite, breaker.until = True, now  # how a closed one is told
            self._tell(name, breaker, now)

    def _tell(self, name: str, breaker: Breaker, now: float) -> None:
        breaker.told_until = breaker.until
        change = _told(name, breaker, now)
        self.changes.append(change)
        self._on_change(change)

    def _take_over(self) -> None:
        """Do what other processes found out, and what people decided."""
        while self.orders:
            order = self.orders.popleft()
            if order.state != "closed":
                self._breakers[order.target] = Breaker(
                    order.reason,
                    order.since,
                    order.until,
                    opened=order.opened,
                    polite=order.opened == 0 and not order.forced,
                    forced=order.forced,
                )
            elif self._breakers.pop(order.target, None) is not None and order.target in self._targets:
                self._targets[order.target].forget()

    def _tallies(self, target_name: str) -> tuple[Tally, Tally]:
        tally = self._targets.get(target_name)
        if tally is None:
            if len(self._targets) >= REMEMBERED:
                self._targets.pop(next(iter(self._targets)))
            tally = self._targets[target_name] = Tally()
        provider = target_name.partition("/")[0]
        return tally, self._providers.get(provider) or self._providers.setdefault(provider, Tally())


def _told(name: str, breaker: Breaker, now: float) -> Change:
    state = breaker.state(now)
    return Change(name, state, breaker.reason, breaker.since, breaker.until, breaker.opened, breaker.forced)


def _state(tally: Tally, now: float) -> State:
    latest = max(tally.last_success or 0.0, tally.last_error or 0.0)
    return "ok" if now - latest < STALE else "unknown"


def _summary(tally: Tally, now: float, resting: int) -> dict[str, Any]:
    succeeded, failed = tally.since(now - MINUTE)
    down = resting and tally.in_a_row > 0
    return {
        "state": "failing" if down else _state(tally, now),
        "resting_targets": resting,
        "last_success_age": _age(tally.last_success, now),
        "last_error": tally.error_code or None,
        "last_error_age": _age(tally.last_error, now),
        "last_minute": {"succeeded": succeeded, "failed": failed},
    }


def _age(then: float | None, now: float) -> float | None:
    return None if then is None else round(max(0.0, now - then), 3)
