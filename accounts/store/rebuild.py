"""Daily totals counted anew from their rows: compared, and where they are off replaced, a day in one transaction."""

from collections import defaultdict
from datetime import date
from typing import Any

from django.db import connection, transaction

from accounts.models import LedgerDay, RequestRecord
from accounts.store import recount
from accounts.store.totals import ADJUSTED, SUMS, TABLES, Key

Row = tuple[int, ...]
COLUMNS = (*SUMS, *ADJUSTED)
NOTHING: Row = (0,) * len(COLUMNS)


class RebuildRefused(Exception):
    """The sentence is for the person who tried."""


def days() -> list[date]:
    """Return the days whose totals can be counted."""
    rows = RequestRecord.objects.order_by().values_list("day", flat=True).distinct()
    pruned = LedgerDay.objects.filter(pruned_at__isnull=False).values_list("day", flat=True)
    return sorted(set(rows).difference(pruned))


@transaction.atomic
def rebuild(day: date) -> list[str]:
    """Count a day. Returns what was off, a sentence for each amount, and replaces the day's totals if anything was.

    Raises RebuildRefused where the details are gone.
    """
    if LedgerDay.objects.filter(day=day, pruned_at__isnull=False).exists():
        raise RebuildRefused(f"The details of {day} are gone: its totals stand for them and cannot be counted.")
    _lock()
    stored, counted = _stored(day), _counted(day)
    found = [
        f"daily total {recount.said(key)}: {name} was {there}, its rows make {made}"
        for key in sorted(stored.keys() | counted.keys(), key=str)
        for name, there, made in zip(COLUMNS, stored.get(key, NOTHING), counted.get(key, NOTHING), strict=True)
        if there != made
    ]
    if found:
        _replace(day, counted)
    return found


def _lock() -> None:
    """Keep the drain from adding meanwhile. On SQLite the transaction does."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for model in TABLES:
                cursor.execute(f"LOCK TABLE {model._meta.db_table} IN SHARE ROW EXCLUSIVE MODE")


def _stored(day: date) -> dict[Key, Row]:
    found: dict[Key, Row] = {}
    for model in TABLES:
        parts = len(model.DIMENSIONS)
        rows = model._default_manager.filter(day=day).order_by().values_list(*model.DIMENSIONS, *COLUMNS)
        found |= {tuple(row[:parts]): tuple(row[parts:]) for row in rows}
    return found


def _counted(day: date) -> dict[Key, Row]:
    adjusted: defaultdict[Key, list[int]] = defaultdict(lambda: [0, 0])
    for key, amount, repriced in recount.replayed(day=day):
        adjusted[key][0] += amount
        adjusted[key][1] += repriced
    _, rows = recount.both(day)
    sums = {**rows, **recount.of_tags(day)}
    none = NOTHING[: len(SUMS)]
    return {
        key: (*map(int, sums.get(key, none)), *adjusted.get(key, (0, 0)))
        for key in sums.keys() | {key for key, amounts in adjusted.items() if any(amounts)}
    }


def _replace(day: date, counted: dict[Key, Row]) -> None:
    for model in TABLES:
        model._default_manager.filter(day=day).delete()
        names = (*model.DIMENSIONS, *COLUMNS)
        mine = (key for key in counted if len(key) == len(model.DIMENSIONS))
        made: list[Any] = [model(**dict(zip(names, (*key, *counted[key]), strict=True))) for key in mine]
        model._default_manager.bulk_create(made, batch_size=500)
