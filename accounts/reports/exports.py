"""CSV that agrees with the pages to the nano and is safe to open in a spreadsheet. Streamed, at flat memory."""

import csv
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse
from django.utils import timezone

from accounts.money import usd
from accounts.prices import UNITS
from accounts.reports.figures import Row
from accounts.reports.question import NOTHING, Question, label
from accounts.reports.records import BATCH, Line, Posting

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
SUMMARY = (
    "requests",
    "cached",
    "failed",
    "interrupted",
    "unpriced",
    "input_tokens",
    "output_tokens",
    "total_usd",
    "recorded_usd",
    "adjusted_usd",
    "estimated_usd",
    "saved_usd",
    "tokens_saved",
)
RECORD = (
    "id",
    "client_request_id",
    "owner",
    "key_id",
    "key_label",
    "route",
    "model_asked",
    "provider",
    "model",
    "status",
    "usage_source",
    "cost_status",
)
RECORDS = (
    "at",
    "day",
    "booked",
    "team",
    "cost_centre",
    *RECORD,
    *UNITS,
    "total_usd",
    "recorded_usd",
    "adjusted_usd",
    "saved_usd",
    "tokens_saved",
    "latency_us",
    "http_status",
    "error",
    "tags",
    "adjusted_at",
    "author",
    "reason",
    "external_ref",
)


class Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def summary(question: Question, rows: Iterable[Row], labels: dict[str, str]) -> Iterator[list[Any]]:
    """One line a group. The columns of money add up to the page's total."""
    name = label(question.group).lower().replace(" ", "_")
    yield [name, *(["label"] if labels else []), *SUMMARY]
    for row in rows:
        sums, value = row.sums, "" if row.value == NOTHING else row.value
        counts = (getattr(sums, column) for column in SUMMARY[:7])
        money = (sums.total_nano, sums.cost_nano, sums.adjusted_nano, sums.estimated_nano, sums.saved_nano)
        known = [safe(labels.get(value, ""))] if labels else []
        yield [safe(value), *known, *counts, *map(usd, money), sums.tokens_saved]


def records(batches: Iterable[list[Line]]) -> Iterator[list[Any]]:
    """One line for each thing booked: records, and below each its adjustments. `total_usd` adds up to the total."""
    yield list(RECORDS)
    for batch in batches:
        for line in batch:
            for posting in line.postings:
                yield _booked(line, posting)


def _booked(line: Line, posting: Posting) -> list[Any]:
    record, adjustment = line.record, posting.adjustment
    # What was used and saved stands on the record's own line only, so that these columns add up too.
    first = adjustment is None
    return [
        timezone.localtime(record.at).isoformat(),
        record.day.isoformat(),
        "record" if first else "adjustment",
        safe(posting.team),
        safe(posting.cost_centre),
        *(safe(getattr(record, name)) for name in RECORD),
        *(getattr(record, unit) if first else 0 for unit in UNITS),
        usd(posting.cost_nano + posting.adjusted_nano),
        usd(posting.cost_nano),
        usd(posting.adjusted_nano),
        usd(record.saved_nano if first else 0),
        record.tokens_saved if first else 0,
        record.latency_us if first else "",
        record.http_status if first else "",
        safe(record.error) if first else "",
        safe(", ".join(f"{name}={value}" for name, value in sorted(record.tags.items()))) if first else "",
        timezone.localtime(adjustment.at).isoformat() if adjustment else "",
        safe(adjustment.author) if adjustment else "",
        safe(adjustment.reason) if adjustment else "",
        safe(adjustment.external_ref) if adjustment else "",
    ]


def safe(text: str) -> str:
    """Keep a spreadsheet from running a cell that somebody else has written."""
    return f"'{text}" if text.startswith(FORMULA) else text


def response(lines: Iterator[Sequence[Any]], name: str) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(_stream(lines), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


async def _stream(lines: Iterator[Sequence[Any]]) -> AsyncIterator[str]:
    """Read from the database in its thread, a few hundred lines at a time. A plain iterator would be read whole."""
    writer = csv.writer(Echo())
    read = sync_to_async(lambda: [writer.writerow(line) for line in islice(lines, BATCH)])
    while text := "".join(await read()):
        yield text
