"""Many timeouts of one length, kept in the order they run out: starting and stopping one costs a dict entry."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Calls `late(item)` once for each item that was started and not stopped within `seconds`.

    All share one length, so the first of the dict is always the next to run out, and a check looks at no more than
    those that have. The clock is monotonic and belongs to the caller.
    """

    __slots__ = ("_late", "_seconds", "_started")

    def __init__(self, seconds: float, late: Callable[[T], None]) -> None:
        self._seconds = seconds
        self._late = late
        self._started: dict[T, float] = {}

    def __len__(self) -> int:
        return len(self._started)

    def start(self, item: T, now: float) -> None:
        """Give `item` the full time from `now`, whether or not it was started before."""
        self._started.pop(item, None)
        self._started[item] = now

    def stop(self, item: T) -> None:
        self._started.pop(item, None)

    def check(self, now: float) -> None:
        """Call `late` for all whose time has run out; each is stopped first and may be started again."""
        oldest_allowed = now - self._seconds
        late = []
        for item, started in self._started.items():
            if started > oldest_allowed:
                break
            late.append(item)
        for item in late:
            if self._started.pop(item, None) is not None:
                self._late(item)
