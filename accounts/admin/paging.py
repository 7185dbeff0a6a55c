"""Lists over millions of rows: pages that are never counted, filters that never read the whole table."""

from collections.abc import Iterator, Mapping
from datetime import datetime, time, timedelta
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.core.paginator import Paginator
from django.db.models import Max, Min, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property

from accounts.models import DailyTotal

PAGES = 1_000  # further back one gets by a filter; a deep OFFSET reads everything before it
COLUMNS = ("team", "provider", "model")
COUNTED = ("cached", "failed", "interrupted")
DAYS = 92
CHOICES = 200


class InfinitePaginator(Paginator):  # type: ignore[type-arg]
    """Says that there are many rows instead of counting them; the page offers `next` without a total.

    The name is the one by which unfold knows that it has no total to show.
    """

    template_name = "unfold/helpers/pagination_infinite.html"

    @cached_property
    def count(self) -> int:
        return PAGES * self.per_page


class Recently(SimpleListFilter):
    """The time of the call, in windows that an index serves."""

    title = "time"
    parameter_name = "since"
    windows = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "31d": timedelta(days=31)}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        names = ("last hour", "last 24 hours", "last 7 days", "last 31 days")
        return list(zip(self.windows, names, strict=True))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        window = self.windows.get(self.value() or "")
        return queryset.filter(at__gte=timezone.now() - window) if window else queryset


class SeenFilter(SimpleListFilter):
    """Values of one column as the daily totals of the last quarter know them, so the ledger is not asked."""

    column = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterator[tuple[str, str]]:
        since = timezone.localdate() - timedelta(days=DAYS)
        seen = DailyTotal.objects.filter(day__gte=since).exclude(**{self.column: ""})
        for value in seen.order_by(self.column).values_list(self.column, flat=True).distinct()[:CHOICES]:
            yield value, value

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.column: self.value()}) if self.value() else queryset


def seen(name: str) -> type[SeenFilter]:
    """The filter on one of the columns of DailyTotal."""
    return type(f"Seen{name.title()}", (SeenFilter,), {"column": name, "title": name, "parameter_name": name})


def within(rows: QuerySet[Any], asked: Mapping[str, str]) -> QuerySet[Any]:
    """Return the records of the days that have all that the filters ask for together, as the daily totals know them.

    An index serves one filter; of what it finds, the others could leave nothing until the last row.
    """
    chosen: dict[str, Any] = {name: asked[name] for name in COLUMNS if asked.get(name)}
    status = asked.get("status__exact", "")
    if status in COUNTED:
        chosen[f"{status}__gt"] = 0
    if len(chosen) < 2:
        return rows
    days = DailyTotal.objects.filter(**chosen).aggregate(first=Min("day"), last=Max("day"))
    if days["first"] is None:
        return rows.none()
    # A day more on each side: a day is that of the time zone that was set when the record came in.
    first, last = (timezone.make_aware(datetime.combine(days[name], time.min)) for name in ("first", "last"))
    return rows.filter(at__gte=first - timedelta(days=1), at__lt=last + timedelta(days=2))
