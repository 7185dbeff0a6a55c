"""Daily totals counted again from the rows they stand for, day by day, and compared."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from functools import reduce
from operator import add

import orjson
from django.db.models import Count, F, Q, Sum, Value
from django.db.models.functions import Coalesce

from accounts.models import Adjustment, DailyTotal, LedgerDay, RequestRecord, TagTotal
from accounts.prices import TOKENS_IN, TOKENS_OUT
from accounts.store.adjust import gives_cost, moved, original
from accounts.store.rows import REQUEST
from accounts.store.totals import ADJUSTED, DIMENSIONS, SUMS, TABLES, TAGS, Key, Sums, keys_of, tally

Row = tuple[int, ...]
ZERO: Row = (0,) * len(SUMS)
COUNTED = {
    "requests": Count("pk"),
    "cached": Count("pk", filter=Q(status="cached")),
    "failed": Count("pk", filter=Q(status="failed")),
    "interrupted": Count("pk", filter=Q(status="interrupted")),
    "unpriced": Count("pk", filter=Q(cost_status="unpriced")),
    "input_tokens": Sum(reduce(add, map(F, TOKENS_IN))),
    "output_tokens": Sum(reduce(add, map(F, TOKENS_OUT))),
    "cost_nano": Sum("cost_nano"),
    "estimated_nano": Coalesce(Sum("cost_nano", filter=Q(usage_source="estimated")), 0),
    "saved_nano": Sum("saved_nano"),
    "tokens_saved": Sum("tokens_saved"),
}


def totals() -> Iterator[str]:
    """Yield a sentence for each daily total that is not the sum of its rows."""
    for day in _days():
        stored, counted = both(day)
        for key in sorted(counted.keys() | stored.keys()):
            pairs = zip(SUMS, stored.get(key, ZERO), counted.get(key, ZERO), strict=True)
            for name, there, sum_of_rows in pairs:
                if there != sum_of_rows:
                    yield f"daily total {said(key)}: {name} is {there}, its rows make {sum_of_rows}"


def tagged() -> Iterator[str]:
    """Yield a sentence for each total of a tag that is not the sum of its rows.

    Of days that are sealed accounts/store/audit.py does so.
    """
    sealed = LedgerDay.objects.filter(sealed_at__isnull=False).values_list("day", flat=True)
    for day in sorted(set(_days()).difference(sealed)):
        found = _mistagged(day)
        # A drain between the two queries looks like a fault; a fault is there the second time too.
        yield from sorted(found & _mistagged(day) if found else found)


def of_tags(day: date) -> dict[Key, Row]:
    """Sum up the records of a day that have tags, by the dimensions of their totals."""
    sums: Sums = {}
    rows = RequestRecord.objects.filter(day=day).exclude(tags={}).order_by().values_list(*REQUEST)
    # The tags once more as text, as they come in from a journal.
    for _ in tally(
        ((*row[:TAGS], orjson.dumps(row[TAGS]).decode(), *row[TAGS + 1 :]) for row in rows.iterator()), sums
    ):
        pass
    return {key: tuple(parts) for key, parts in sums.items() if len(key) != len(DIMENSIONS)}


def _mistagged(day: date) -> set[str]:
    counted = of_tags(day)
    kept = TagTotal.objects.filter(day=day).values_list(*TagTotal.DIMENSIONS, *SUMS)
    stored = {tuple(row[: -len(SUMS)]): tuple(row[-len(SUMS) :]) for row in kept}
    return {
        f"daily total {said(key)}: {name} is {there}, its rows make {made}"
        for key in counted.keys() | stored.keys()
        for name, there, made in zip(SUMS, stored.get(key, ZERO), counted.get(key, ZERO), strict=True)
        if there != made
    }


def adjusted() -> Iterator[str]:
    """Yield a sentence for each daily total whose adjusted amount is not the sum of its adjustments."""
    found = _misadjusted()
    # An adjustment booked between the two queries looks like a fault; a fault is there the second time too.
    yield from sorted(found & _misadjusted() if found else found)


def _misadjusted() -> set[str]:
    booked: defaultdict[Key, list[int]] = defaultdict(lambda: [0, 0])
    for key, amount, repriced in replayed():
        booked[key][0] += amount
        booked[key][1] += repriced
    stored: dict[Key, list[int]] = {}
    for model in TABLES:
        rows = model.objects.exclude(adjusted_nano=0, repriced=0).values_list(*model.DIMENSIONS, *ADJUSTED)
        stored |= {tuple(row[:-2]): list(row[-2:]) for row in rows}
    return {
        f"daily total {said(key)}: {name} is {there}, its adjustments make {made}"
        for key in booked.keys() | stored.keys()
        for name, there, made in zip(ADJUSTED, stored.get(key, (0, 0)), booked.get(key, (0, 0)), strict=True)
        if there != made
    }


def _days() -> list[date]:
    rows = RequestRecord.objects.order_by().values_list("day", flat=True).distinct()
    stored = DailyTotal.objects.order_by().values_list("day", flat=True).distinct()
    # What stands for rows that are gone is looked at by accounts/store/audit.py.
    pruned = LedgerDay.objects.filter(pruned_at__isnull=False).values_list("day", flat=True)
    return sorted({*rows, *stored}.difference(pruned))


def both(day: date) -> tuple[dict[Key, Row], dict[Key, Row]]:
    """Read totals and counted rows of one day in one statement, so that a drain in the middle cannot be seen."""
    # The names of the aggregates keep apart from the columns that they are made of.
    names = {name: f"sum_{name}" for name in SUMS}
    columns = ("origin", *DIMENSIONS, *names.values())
    stored = DailyTotal.objects.filter(day=day).order_by().annotate(origin=Value("totals"))
    counted = RequestRecord.objects.filter(day=day).order_by().annotate(origin=Value("rows"))
    sums = counted.values("origin", *DIMENSIONS).annotate(**{alias: COUNTED[name] for name, alias in names.items()})
    same = stored.annotate(**{alias: F(name) for name, alias in names.items()})
    found: dict[str, dict[Key, Row]] = {"totals": {}, "rows": {}}
    for row in same.values_list(*columns).union(sums.values_list(*columns), all=True):
        found[row[0]][row[1 : 1 + len(DIMENSIONS)]] = row[1 + len(DIMENSIONS) :]
    return found["totals"], found["rows"]


def replayed(*, day: date | None = None) -> Iterator[tuple[Key, int, int]]:
    """Book all adjustments again, from the originals on: amounts, and whether one gave a record its first price."""
    record, stands, unpriced = None, None, False
    rows = Adjustment.objects.order_by("request_id", "id").select_related("request")
    for each in (rows if day is None else rows.filter(day=day)).iterator(chunk_size=500):
        if stands is None or record != each.request_id:
            record, stands = each.request_id, original(each.request)
            unpriced = each.request.cost_status == "unpriced"
        after = stands.after(each)
        yield from ((key, amount, 0) for key, amount in moved(each.request, stands, after).items())
        if unpriced and gives_cost(each):
            unpriced = False
            yield from ((key, 0, 1) for key in keys_of(each.request))
        stands = after


def said(key: Key) -> str:
    names = next(model.DIMENSIONS for model in TABLES if len(model.DIMENSIONS) == len(key))
    return ", ".join(f"{name} {value}" for name, value in zip(names, key, strict=True) if value != "")
