"""Budgets from and to their rows."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from accounts.budgets.limits import Limit, Table, table
from accounts.models import ApiKey, Budget

_asked: dict[str, Callable[[str, str], list[str]]] = {}


def ask_routes(doubts: Callable[[str, str], list[str]]) -> None:
    """Let `doubts` say which calls do not count on a budget on a route, a team's if one is given."""
    _asked["doubts"] = doubts


def doubts(budget: Budget) -> list[str]:
    """Return a sentence for each sort of call that one might think counts on this budget, and that does not."""
    ask = _asked.get("doubts")
    team = budget.team or (budget.key and budget.key.team)
    return ask(budget.route, team.name if team else "") if ask and budget.route else []


def zone() -> ZoneInfo:
    """The clock that windows follow."""
    return ZoneInfo(settings.TIME_ZONE)


def load_table() -> Table | None:
    """Return the hard limits in force, None where there are none."""
    rows = Budget.objects.filter(active=True, hard=True).order_by()
    return table(limit_of(*row) for row in rows.values_list(*COLUMNS))


COLUMNS = ("id", "amount_nano", "window", "team__name", "key__id8", "route")


def limit_of(id: int, amount_nano: int, window: str, team: str | None, key_id: str | None, route: str) -> Limit:
    return Limit(id, amount_nano, window, team or "", key_id or "", route, zone())


def plain(budget: Budget) -> Limit:
    """Return the limit that a row stands for, be it in force or not."""
    team = budget.team.name if budget.team else ""
    key = budget.key.id8 if budget.key else ""
    return limit_of(budget.pk, budget.amount_nano, budget.window, team, key, budget.route)


@transaction.atomic
def set_monthly(key: ApiKey, amount_nano: int | None, *, by: str) -> Budget | None:
    """Give the key this budget a month, hard; None takes it away. Returns what there is now."""
    held = (
        Budget.objects.select_for_update()
        .filter(key=key, team=None, route="", window=Budget.Window.MONTH)
        .order_by()
        .first()
    )
    if amount_nano is None:
        if held is not None:
            held.delete()
        return None
    if held is None:
        return Budget.objects.create(key=key, amount_nano=amount_nano, created_by=by)
    if held.amount_nano != amount_nano or not held.active:
        held.amount_nano, held.active, held.updated_by = amount_nano, True, by
        held.save()
    return held
