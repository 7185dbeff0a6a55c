"""Sums over the daily totals: the whole, the groups of a table, the days of a chart. Amounts are nano-USD."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from django.db.models import F, QuerySet, Sum

from accounts.money import NANO_PER_USD
from accounts.reports.question import NOTHING, Question, column

SHOWN_ROWS = 300
SHOWN_SERIES = 7


@dataclass(frozen=True, slots=True)
class Sums:
    requests: int = 0
    cached: int = 0
    failed: int = 0
    interrupted: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano: int = 0
    estimated_nano: int = 0
    adjusted_nano: int = 0
    saved_nano: int = 0
    tokens_saved: int = 0

    @property
    def total_nano(self) -> int:
        """What it cost: as recorded, and as corrected since."""
        return self.cost_nano + self.adjusted_nano

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, name) + getattr(other, name) for name in NAMES))

    def __sub__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, name) - getattr(other, name) for name in NAMES))


NAMES = tuple(each.name for each in fields(Sums))
SUMMED = {f"sum_{name}": Sum(name) for name in NAMES} | {"sum_unpriced": Sum(F("unpriced") - F("repriced"))}


@dataclass(frozen=True, slots=True)
class Row:
    """One group. `value` is what a filter on it says; `others` counts the groups folded into one."""

    value: str
    sums: Sums
    others: int = 0


def whole(question: Question) -> Sums:
    return _sums(question.totals.aggregate(**SUMMED))


def rows(question: Question) -> Iterator[Row]:
    """Every group: days in their order, all else the dearest first."""
    name, totals = column(question.group), question.tag_totals if question.grouped_tag else question.totals
    grouped: QuerySet[Any, dict[str, Any]] = totals.values(name).annotate(**SUMMED)
    ordered = [name] if name == "day" else [(F("sum_cost_nano") + F("sum_adjusted_nano")).desc(), name]
    for row in grouped.order_by(*ordered):
        yield Row(_text(row[name]), _sums(row))
    if question.grouped_tag and (untagged := whole(question) - _sums(totals.aggregate(**SUMMED))) != Sums():
        yield Row(NOTHING, untagged)


def shown(every: Iterable[Row]) -> list[Row]:
    """At most SHOWN_ROWS, with the rest of them added up in a last one."""
    table, rest, count = list[Row](), Sums(), 0
    for row in every:
        if len(table) < SHOWN_ROWS:
            table.append(row)
        else:
            rest, count = rest + row.sums, count + 1
    return [*table, Row("", rest, count)] if count else table


def chart(question: Question, table: list[Row], labels: dict[str, str]) -> dict[str, Any]:
    """Dollars a day for the dearest groups, the others as one. For drawing only: these are floats."""
    days = question.days
    if question.group == "day":
        cost = {row.value: row.sums.total_nano for row in table}
        values = [cost.get(day.isoformat(), 0) / NANO_PER_USD for day in days]
        return {"labels": _ticks(days), "series": [{"name": "Cost", "values": values, "rest": False}]}
    dearest = [row.value for row in table if not row.others][:SHOWN_SERIES]
    by_group = _by_day(question, frozenset(dearest))
    series = [_series(labels.get(name, name), by_group[name], days, rest=False) for name in dearest]
    if len(table) > len(dearest):
        series.append(_series("Others", by_group[None], days, rest=True))
    return {"labels": _ticks(days), "series": series}


def _by_day(question: Question, dearest: frozenset[str]) -> dict[str | None, dict[date, int]]:
    name = column(question.group)
    sums: dict[str | None, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    cost = Sum("cost_nano") + Sum("adjusted_nano")
    totals = question.tag_totals if question.grouped_tag else question.totals
    for value, day, nano in totals.values_list(name, "day").annotate(cost=cost):
        group = _text(value)
        sums[group if group in dearest else None][day] += int(nano)
    if question.grouped_tag:
        _add_untagged(question, sums, NOTHING if NOTHING in dearest else None)
    return sums


def _add_untagged(question: Question, sums: dict[str | None, dict[date, int]], place: str | None) -> None:
    tagged = {day: sum(each.get(day, 0) for each in sums.values()) for day in question.days}
    for day, nano in question.totals.values_list("day").annotate(cost=Sum("cost_nano") + Sum("adjusted_nano")):
        sums[place][day] += int(nano) - tagged[day]


def _series(name: str, cost: dict[date, int], days: list[date], *, rest: bool) -> dict[str, Any]:
    return {"name": name, "values": [cost.get(day, 0) / NANO_PER_USD for day in days], "rest": rest}


def _ticks(days: list[date]) -> list[str]:
    return [f"{day.day} {day:%b}" for day in days]


def _sums(row: dict[str, Any]) -> Sums:
    # PostgreSQL gives a sum over BIGINT as numeric, and no rows as null.
    return Sums(*(int(row[f"sum_{name}"] or 0) for name in NAMES))


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else value or NOTHING
