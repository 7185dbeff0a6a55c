"""How budgets stand in their windows: spent, held for calls and batches under way, left; nano-USD."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.budgets.limits import Limit
from accounts.budgets.windows import NEVER, Window
from accounts.models import ApiKey, Budget, BudgetHold, BudgetLease
from accounts.store import budgets, spend

NEAR = 80  # percent


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget in the window that holds now. `held_nano` is reserved, or spent and not in the ledger yet."""

    budget: Budget
    limit: Limit
    window: Window
    spent_nano: int
    held_nano: int

    @property
    def left_nano(self) -> int:
        return max(0, self.limit.amount_nano - self.spent_nano - self.held_nano)

    @property
    def percent(self) -> int:
        """What is spent of it, in whole percent, rounded down."""
        if not self.limit.amount_nano:
            return 100
        return 100 * self.spent_nano // self.limit.amount_nano

    @property
    def mood(self) -> str:
        """How its bar is coloured: '' for fine, warn near the budget, bad at it and beyond."""
        return "bad" if self.percent >= 100 else "warn" if self.percent >= NEAR else ""

    @property
    def resets_at(self) -> datetime | None:
        """When it begins anew, on the organisation's clock; None for one in total."""
        ends = self.window.ends_at
        return None if ends == NEVER else datetime.fromtimestamp(ends, self.limit.zone)


def standings(rows: Iterable[Budget], at: float | None = None) -> list[Standing]:
    """Return how each of them stands at `at`, in epoch seconds, or now."""
    at = timezone.now().timestamp() if at is None else at
    known = [(budget, budgets.plain(budget)) for budget in rows]
    held = _held([budget.pk for budget, _ in known])
    with connection.cursor() as cursor:
        found = [(budget, limit, limit.window_at(at)) for budget, limit in known]
        sums = spend.spent_of(cursor, [(limit, window) for _, limit, window in found])
    batches = list(BudgetHold.objects.filter(until__gte=int(time.time())))

    def held_on(budget: Budget, limit: Limit, window: Window) -> int:
        running = sum(each.amount_nano for each in batches if limit.covers(each.team, each.key_id, each.route))
        return held.get((budget.pk, window.first), 0) + running

    return [
        Standing(budget, limit, window, spent, held_on(budget, limit, window))
        for (budget, limit, window), spent in zip(found, sums, strict=True)
    ]


def of_keys(keys: Iterable[ApiKey]) -> list[Standing]:
    """Return how the active budgets stand that calls with these keys count on: those on the keys and on their teams."""
    known = list(keys)
    wanted = Q(key__in=known) | Q(team__in={key.team_id for key in known}, key=None)
    return standings(rows().filter(wanted, active=True))


def of_teams(team_ids: Iterable[int]) -> list[Standing]:
    """Return how the active budgets on these teams stand."""
    return standings(rows().filter(team__in=list(team_ids), active=True))


def rows() -> QuerySet[Budget]:
    return Budget.objects.select_related("team", "key__team")


def _held(ids: list[int]) -> dict[tuple[int, object], int]:
    held: dict[tuple[int, object], int] = {}
    for lease in BudgetLease.objects.filter(budget__in=ids):
        out = max(0, lease.granted_nano - lease.drained_nano - lease.idle_nano)
        held[lease.budget_id, lease.first] = held.get((lease.budget_id, lease.first), 0) + out
    return held
