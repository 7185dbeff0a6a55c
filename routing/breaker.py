"""A target's breaker: open while the target is in trouble, half-open for the one call that tries it, else closed.

Only trouble of the provider's comes here, never a caller's faults. Times are Unix seconds, given by the caller.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

State = Literal["closed", "open", "half-open"]
Entry = Literal["free", "probe", "guest", "refused"]  # how a call may go to a target

FAILURES = 3  # in a row
WINDOW = 30  # seconds over which the rate of errors is taken
WINDOW_CALLS = 20  # fewer say nothing about a rate
ERROR_RATE = 0.5
FIRST_REST = 5.0  # seconds; doubled each time that the call which tries the target fails
LONGEST_REST = 60.0  # also of what a provider asks us to wait
PROBE_SECONDS = 60.0  # after that another call may try, whatever became of the first
ELSEWHERE_SECONDS = 1.0  # before we ask again whether another process still tries it
LAST_RESORT = 8  # calls at once that a target gets which failed when it was tried, where there is no other
SHORT_WAIT = 5.0  # a shorter one that a provider asks for is no news for other processes
# Nothing gets better by trying these again at once.
AT_ONCE = {"upstream_auth_error": "it does not accept our credential"}


@dataclass(slots=True)
class Tally:
    """What happened to one target or provider, second by second."""

    last_success: float | None = None
    last_error: float | None = None
    error_code: str = ""
    in_a_row: int = 0  # failures since the last success
    seconds: deque[list[int]] = field(default_factory=lambda: deque(maxlen=60))  # [second, succeeded, failed]

    def succeeded(self, now: float) -> None:
        self.last_success = now
        self.in_a_row = 0
        self._second(now)[1] += 1

    def failed(self, code: str, now: float) -> None:
        self.last_error, self.error_code = now, code
        self.in_a_row += 1
        self._second(now)[2] += 1

    def forget(self) -> None:
        """What was before a breaker closed is no reason to open it again."""
        self.in_a_row = 0
        self.seconds.clear()

    def since(self, then: float) -> tuple[int, int]:
        """Calls that succeeded and that failed in the seconds after `then`."""
        recent = [entry for entry in list(self.seconds) if entry[0] > then]
        return sum(entry[1] for entry in recent), sum(entry[2] for entry in recent)

    def _second(self, now: float) -> list[int]:
        second = int(now)
        if not self.seconds or self.seconds[-1][0] != second:
            self.seconds.append([second, 0, 0])
        return self.seconds[-1]


@dataclass(slots=True)
class Breaker:
    """A breaker that is not closed. `until` is when a call may try the target; `opened` counts openings in a row.

    `polite`: a provider asked us to wait, which is no reason to doubt it afterwards, nor to refuse anything.
    `forced`: opened by hand, and only a hand closes it.
    """

    reason: str
    since: float
    until: float
    opened: int = 0
    polite: bool = False
    forced: bool = False
    probe_since: float | None = None
    told_until: float = 0.0  # `until` as other processes know it
    guests: int = 0  # calls under way although it is open
    elsewhere_until: float = 0.0  # until when we take it that a call of another process tries it

    def state(self, now: float) -> State:
        # A clock that was set back must not let it rest for longer.
        if self.forced or (now < self.until and now >= self.since - LONGEST_REST):
            return "open"
        return "closed" if self.polite else "half-open"

    def resting(self, now: float) -> bool:
        """Whether others are to be preferred: it is open, or another call is trying it."""
        state = self.state(now)
        return state == "open" or (state == "half-open" and self._probed(now))

    def enter(self, now: float) -> Entry:
        """Let a call through, or not: one tries a half-open target; an open one is for calls that have no other.

        Those are few once the target has failed when it was tried: the others are told at once.
        """
        if self.forced:
            return "refused"
        if not self.resting(now):
            self.probe_since = now
            return "probe"
        if self.opened > 1 and self.guests >= LAST_RESORT:
            return "refused"
        self.guests += 1
        return "guest"

    def give_way(self, now: float) -> None:
        """A call of another process tries it: ours, which was about to, does not."""
        self.probe_since, self.elsewhere_until = None, now + ELSEWHERE_SECONDS

    def leave(self, entry: Entry) -> None:
        """The call that `enter` let through is over."""
        if entry == "probe":
            self.probe_since = None
        elif entry == "guest":
            self.guests = max(0, self.guests - 1)

    def open(self, reason: str, now: float) -> None:
        """Open, or open again for twice as long."""
        self.opened += 1
        self.reason, self.since, self.polite, self.probe_since = reason, now, False, None
        self.until = now + min(FIRST_REST * 2 ** (min(self.opened, 8) - 1), LONGEST_REST)

    def _probed(self, now: float) -> bool:
        if now < self.elsewhere_until <= now + ELSEWHERE_SECONDS:
            return True
        return self.probe_since is not None and 0 <= now - self.probe_since < PROBE_SECONDS


def trouble(tally: Tally, code: str, now: float) -> str:
    """Say why a target that has just failed with `code` is to rest; "" if it need not yet."""
    if code in AT_ONCE:
        return AT_ONCE[code]
    if tally.in_a_row >= FAILURES:
        return f"{tally.in_a_row} failures in a row, the last {code}"
    succeeded, failed = tally.since(now - WINDOW)
    calls = succeeded + failed
    if calls >= WINDOW_CALLS and failed >= ERROR_RATE * calls:
        return f"{failed} of {calls} calls failed within {WINDOW} seconds, the last with {code}"
    return ""
