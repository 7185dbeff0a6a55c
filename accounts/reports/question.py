"""What somebody wants to know of the ledger: a period, whose money, which part of it, and by what."""

import calendar
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from django.db.models import Model, QuerySet

from accounts.models import DailyTotal, LedgerDay, TagTotal
from accounts.models.ledger import Totals

# Name in URLs and forms -> column, the same in daily totals and in records.
DIMENSIONS = {
    "team": "team",
    "model": "model",
    "provider": "provider",
    "key": "key_id",
    "cost_centre": "cost_centre",
    "route": "route",
}
LABELS = {
    "team": "Team",
    "model": "Model",
    "provider": "Provider",
    "day": "Day",
    "key": "Key",
    "cost_centre": "Cost centre",
    "route": "Route",
}
# Stands in a URL for the empty text: a record without a provider is one that no provider answered.
NOTHING = "(none)"
TAG = "tag:"  # before the name of a tag that is grouped by
LONGEST_DAYS = 400


@dataclass(frozen=True, slots=True)
class Question:
    """`scope` holds the teams whose money may be seen, None all; `only` holds a value by dimension; `tag` is one that
    records must have, name and value. Totals know of one tag at a time, so `group` may be that tag or none.
    """

    first: date
    last: date
    scope: tuple[str, ...] | None
    only: Mapping[str, str] = field(default_factory=dict)
    group: str = "team"
    tag: tuple[str, str] | None = None

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]

    @property
    def totals(self) -> QuerySet[Any]:
        if self.tag is None:
            return self._narrowed(DailyTotal)
        name, value = self.tag
        return self._narrowed(TagTotal).filter(tag=name, value=value)

    @property
    def grouped_tag(self) -> str:
        return self.group.removeprefix(TAG) if self.group.startswith(TAG) else ""

    @property
    def tag_totals(self) -> QuerySet[Any]:
        """The totals of the tag that is grouped by: one for each of its values."""
        rows = self._narrowed(TagTotal).filter(tag=self.grouped_tag)
        return rows if self.tag is None else rows.filter(value=self.tag[1])

    @property
    def gone(self) -> date | None:
        """The last day of the period whose details are gone: totals stand for them."""
        pruned = LedgerDay.objects.filter(day__range=(self.first, self.last), pruned_at__isnull=False)
        return pruned.order_by("-day").values_list("day", flat=True).first()

    def _narrowed(self, model: type[Totals]) -> QuerySet[Any]:
        rows = model._default_manager.filter(day__range=(self.first, self.last))
        if self.scope is not None:
            rows = rows.filter(team__in=self.scope)
        return rows.filter(**{DIMENSIONS[name]: value for name, value in self.only.items()}).order_by()

    def of_record(self, *, without: tuple[str, ...] = ()) -> dict[str, str]:
        """Conditions on the columns of a record, leaving out the dimensions in `without`."""
        return {DIMENSIONS[name]: value for name, value in self.only.items() if name not in without}

    def counts(self, team: str, cost_centre: str) -> bool:
        """Whether money booked to this team and cost centre is part of the answer."""
        return (
            (self.scope is None or team in self.scope)
            and self.only.get("team", team) == team
            and self.only.get("cost_centre", cost_centre) == cost_centre
        )


def column(group: str) -> str:
    if group.startswith(TAG):
        return "value"
    return "day" if group == "day" else DIMENSIONS[group]


def label(group: str) -> str:
    return f"Tag {group.removeprefix(TAG)}" if group.startswith(TAG) else LABELS[group]


def month_of(day: date) -> tuple[date, date]:
    """First and last day of the month around `day`."""
    return day.replace(day=1), day.replace(day=calendar.monthrange(day.year, day.month)[1])


def month_before(day: date) -> date:
    """First day of the month before the one around `day`."""
    return (day.replace(day=1) - timedelta(days=1)).replace(day=1)


def distinct(rows: QuerySet[Model], name: str) -> list[str]:
    return sorted(rows.order_by().values_list(DIMENSIONS[name], flat=True).distinct())
