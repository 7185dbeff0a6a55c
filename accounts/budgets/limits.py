"""The hard limits in force, as frozen values: swapped whole when a budget changes, looked up for each call."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from accounts.budgets.windows import Window, window_at

REMEMBERED = 4096  # lookups kept
UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Limit:
    """What may be spent in a window, in nano-USD, on calls of this team, key and route; '' stands for any."""

    id: int
    amount_nano: int
    window: str
    team: str = ""
    key_id: str = ""
    route: str = ""
    zone: ZoneInfo = field(default=UTC, repr=False)  # the clock that its windows follow

    def covers(self, team: str, key_id: str, route: str) -> bool:
        return self.team in {"", team} and self.key_id in {"", key_id} and self.route in {"", route}

    def window_at(self, at: float) -> Window:
        """Return the window that holds `at`, in epoch seconds."""
        return window_at(self.window, at, self.zone)

    @property
    def scope(self) -> str:
        """What it is on, in words that name nobody: team, key, route, or a pair of them."""
        parts = (("team", self.team), ("key", self.key_id), ("route", self.route))
        return "+".join(name for name, value in parts if value)


@dataclass(frozen=True, slots=True)
class Table:
    """All hard limits that are active."""

    limits: tuple[Limit, ...]
    _found: dict[tuple[str, str, str], tuple[Limit, ...]] = field(default_factory=dict, repr=False, compare=False)

    def of(self, team: str, key_id: str, route: str) -> tuple[Limit, ...]:
        """Return the limits on a call by this team and key for this route."""
        asked = (team, key_id, route)
        found = self._found.get(asked)
        if found is None:
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            found = self._found[asked] = tuple(each for each in self.limits if each.covers(*asked))
        return found


def table(limits: Iterable[Limit]) -> Table | None:
    """Return the limits ready for lookups, None where there are none: then calls need not ask."""
    known = tuple(sorted(limits, key=lambda each: each.id))
    return Table(known) if known else None
