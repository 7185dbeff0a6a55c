"""What keys have cost this month, and how near that is to their budgets. Amounts are nano-USD."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.db.models import Sum
from django.utils import timezone

from accounts.models import ApiKey, DailyTotal

NEAR = 0.8


@dataclass(frozen=True, slots=True)
class Listed:
    """A key as it stands in a list."""

    key: ApiKey
    spent_nano: int

    @property
    def state(self) -> str:
        if self.key.disabled:
            return "revoked"
        if self.key.team.disabled:
            return "team disabled"
        if self.key.expires_at is not None and self.key.expires_at <= timezone.now():
            return "expired"
        return "active"

    @property
    def mood(self) -> str:
        """How the bar of the budget is coloured: '' for fine, warn near the budget, bad over it."""
        budget = self.key.monthly_budget_nano
        if budget is None or self.spent_nano < NEAR * budget:
            return ""
        return "bad" if self.spent_nano >= budget else "warn"


def listed(keys: Iterable[ApiKey]) -> list[Listed]:
    """Keys with what they cost since the first of the month; those that still work come first."""
    rows = list(keys)
    spent = this_month([key.id8 for key in rows])
    every = [Listed(key, spent.get(key.id8, 0)) for key in rows]
    return sorted(every, key=lambda each: each.state != "active")


def this_month(ids: list[str]) -> dict[str, int]:
    since = timezone.localdate().replace(day=1)
    return by("key_id", since, ids)


def by(column: str, since: date, ids: list[str]) -> dict[str, int]:
    """Cost of these keys since a day, corrections included, by one column of the daily totals."""
    rows = DailyTotal.objects.filter(day__gte=since, key_id__in=ids).order_by().values_list(column)
    return {value: int(cost) for value, cost in rows.annotate(cost=Sum("cost_nano") + Sum("adjusted_nano"))}
