"""How targets and providers are doing, as seen in live traffic. Nobody is called to find out.

A target rests after FAILURES in a row, for REST seconds after the last of them; the next call is then its chance.
One instance belongs to one event loop. Times are Unix seconds, given by the caller.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["ok", "failing", "unknown"]

FAILURES = 3
REST = 30.0
STALE = 300.0  # seconds without a call after which we no longer know
MINUTE = 60
REMEMBERED = 4096  # targets; names can come from callers, through patterns


@dataclass(slots=True)
class _Tally:
    """What happened to one target or provider."""

    last_success: float | None = None
    last_error: float | None = None
    error_code: str = ""
    in_a_row: int = 0  # failures since the last success
    minute: deque[list[int]] = field(default_factory=lambda: deque(maxlen=MINUTE))  # [second, succeeded, failed]

    def succeeded(self, now: float) -> None:
        self.last_success = now
        self.in_a_row = 0
        self._second(now)[1] += 1

    def failed(self, code: str, now: float) -> None:
        self.last_error, self.error_code = now, code
        self.in_a_row += 1
        self._second(now)[2] += 1

    def state(self, now: float) -> State:
        if self.in_a_row >= FAILURES and self.last_error is not None:
            # A clock that was set back must not let it rest for as long.
            return "failing" if abs(now - self.last_error) < REST else "unknown"
        latest = max(self.last_success or 0.0, self.last_error or 0.0)
        return "ok" if now - latest < STALE else "unknown"

    def last_minute(self, now: float) -> tuple[int, int]:
        """Calls that succeeded and that failed in the last 60 seconds."""
        recent = [entry for entry in list(self.minute) if entry[0] > now - MINUTE]
        return sum(entry[1] for entry in recent), sum(entry[2] for entry in recent)

    def _second(self, now: float) -> list[int]:
        second = int(now)
        if not self.minute or self.minute[-1][0] != second:
            self.minute.append([second, 0, 0])
        return self.minute[-1]


class Health:
    """Successes and failures by target, and summed by provider."""

    def __init__(self) -> None:
        self._targets: dict[str, _Tally] = {}
        self._providers: dict[str, _Tally] = {}

    def succeeded(self, target_name: str, now: float) -> None:
        """Note that `provider/model` answered."""
        for tally in self._tallies(target_name):
            tally.succeeded(now)

    def failed(self, target_name: str, error_code: str, now: float) -> None:
        """Note a failure that is the target's fault; the caller's own faults do not belong here."""
        for tally in self._tallies(target_name):
            tally.failed(error_code, now)

    def state(self, target_name: str, now: float) -> State:
        """Say how `provider/model` is doing. Only 'failing' is a reason to prefer another."""
        tally = self._targets.get(target_name)
        return tally.state(now) if tally else "unknown"

    def providers(self, now: float) -> dict[str, dict[str, Any]]:
        """Return, for each provider called so far, its state, ages in seconds and counts of the last minute."""
        return {name: _summary(tally, now) for name, tally in sorted(self._providers.items())}

    def _tallies(self, target_name: str) -> tuple[_Tally, _Tally]:
        tally = self._targets.get(target_name)
        if tally is None:
            if len(self._targets) >= REMEMBERED:
                self._targets.pop(next(iter(self._targets)))
            tally = self._targets[target_name] = _Tally()
        provider = target_name.partition("/")[0]
        return tally, self._providers.get(provider) or self._providers.setdefault(provider, _Tally())


def _summary(tally: _Tally, now: float) -> dict[str, Any]:
    succeeded, failed = tally.last_minute(now)
    return {
        "state": tally.state(now),
        "last_success_age": _age(tally.last_success, now),
        "last_error": tally.error_code or None,
        "last_error_age": _age(tally.last_error, now),
        "last_minute": {"succeeded": succeeded, "failed": failed},
    }


def _age(then: float | None, now: float) -> float | None:
    return None if then is None else round(max(0.0, now - then), 3)
