"""Cache entries between memory and the database: written behind, read at start and when others changed them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

import orjson
from django.db import connection, models, transaction
from django.db.models import F
from django.utils import timezone

from accounts.prices import UNITS, Usage
from proxy import replay
from proxy.cache import CHUNKS, EVENTS, MAX_ENTRY_BYTES, Cache, Entry
from proxy.models import CacheEntry

OVERLAP = timedelta(seconds=5)  # rows are read this much twice, since transactions end out of order
TOMBSTONE = timedelta(minutes=10)
WARM_ENTRIES = 5_000
CHUNK = 500


class Writer:
    """The housekeeper's side of the cache. `origin` names this process, so that it does not read what it wrote."""

    def __init__(self, cache: Cache, *, origin: str) -> None:
        self._cache = cache
        self._origin = origin
        self._seen_until: datetime | None = None

    def read(self) -> None:
        """Take over what others wrote, edited or purged since the last time; at first, the newest of what there is."""
        started = timezone.now()
        rows = CacheEntry.objects.exclude(origin=self._origin)
        if self._seen_until is None:
            living = rows.filter(purged=False).filter(models.Q(expires_at__gt=started) | models.Q(pinned=True))
            self._take(living.order_by("-created_at"))
        elif self._somebody_wrote(self._seen_until - OVERLAP):
            changed = rows.filter(updated_at__gt=self._seen_until - OVERLAP)
            # What people purge or edit counts, however much it is; of what other processes wrote the newest will do.
            for key in changed.filter(purged=True).values_list("key", flat=True).iterator():
                self._cache.drop(key)
            for row in changed.filter(purged=False, origin="").iterator():
                self._put(row)
            self._take(changed.filter(purged=False).exclude(origin="").order_by("-updated_at"))
        self._seen_until = started

    def _somebody_wrote(self, since: datetime) -> bool:
        """Most of the time nobody did, and a plain statement costs a tenth of the querysets."""
        with connection.cursor() as cursor:
            cursor.execute(CHANGED, [connection.ops.adapt_datetimefield_value(since), self._origin])
            return cursor.fetchone() is not None

    def _take(self, newest_first: models.QuerySet[CacheEntry]) -> None:
        for row in reversed(list(newest_first[:WARM_ENTRIES])):
            self._put(row)

    def _put(self, row: CacheEntry) -> None:
        if row.answer:
            self._cache.put(entry_of(row), write=False)

    def write(self, at_most: int) -> int:
        """Write entries that wait, streams assembled, and return how many."""
        pending = {entry.key: entry for entry in self._cache.take_pending(at_most)}
        try:
            self._write(pending.values())
        except Exception:
            self._cache.give_back(pending.values())
            raise
        return len(pending)

    def count_hits(self) -> None:
        """Add up how often entries were given again."""
        for key, count in self._cache.take_hits().items():
            CacheEntry.objects.filter(key=key).update(hits=F("hits") + count)

    def _write(self, entries: Iterable[Entry]) -> None:
        now = timezone.now()
        rows = []
        # In a fixed order, so that two processes with the same entries do not wait for each other.
        for entry in sorted(entries, key=attrgetter("key")):
            if not entry.answer:
                self._cache.assembled(entry, replay.answer_of(entry.transcript, entry.usage, rename=entry.rename))
            if entry.answer != b"{}" and entry.size <= MAX_ENTRY_BYTES:
                rows.append(values_of(entry, origin=self._origin, now=now))
        if rows:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.executemany(UPSERT, rows)

    def expire(self) -> None:
        """Remove what has expired, tombstones after a while, a chunk at a time."""
        now = timezone.now()
        gone = models.Q(purged=False, pinned=False, expires_at__lt=now) | models.Q(
            purged=True, updated_at__lt=now - TOMBSTONE
        )
        ids = list(CacheEntry.objects.filter(gone).values_list("pk", flat=True)[:CHUNK])
        CacheEntry.objects.filter(pk__in=ids).delete()


# Rows by the hundred each second: a model instance and bulk_create cost five times as much CPU as this statement.
COLUMNS = (
    *(
        "key",
        "team",
        "model",
        "route",
        "provider",
        "kind",
        "served_model",
        "form",
        "ignored",
        "answer",
        "usage",
        "free",
        "bytes",
    ),
    *("created_at", "expires_at", "pinned", "origin", "updated_at", "hits", "note", "purged"),
)
CHANGED = "SELECT 1 FROM proxy_cacheentry WHERE updated_at > %s AND origin <> %s LIMIT 1"
KEPT = {"key", "hits", "note"}  # what a newer answer leaves as it is
UPSERT = (
    f"INSERT INTO proxy_cacheentry ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"  # noqa: S608  constants
    f" ON CONFLICT (key) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS if name not in KEPT)}"
)


def values_of(entry: Entry, *, origin: str, now: datetime) -> tuple[Any, ...]:
    """Return the values of `COLUMNS` for `entry`."""
    moment = connection.ops.adapt_datetimefield_value
    return (
        entry.key,
        entry.team,
        entry.model[:200],
        entry.route,
        entry.provider,
        entry.kind,
        entry.served_model[:200],
        entry.form,
        "\n".join(entry.ignored).replace("\0", ""),
        # JSON writes NUL as an escape. PostgreSQL refuses a text that has one in spite of that.
        entry.answer.decode("utf-8", "replace").replace("\0", ""),
        orjson.dumps(entry.usage.as_dict()).decode(),
        entry.free,
        len(entry.answer),
        moment(datetime.fromtimestamp(entry.created_at, UTC)),
        moment(datetime.fromtimestamp(entry.expires_at, UTC)),
        entry.pinned,
        origin,
        moment(now),
        0,
        "",
        False,
    )


def entry_of(row: CacheEntry) -> Entry:
    """Return the entry that `row` keeps."""
    return Entry(
        key=row.key,
        team=row.team,
        model=row.model,
        route=row.route,
        provider=row.provider,
        kind=row.kind,
        served_model=row.served_model,
        usage=Usage(**{unit: count for unit, count in row.usage.items() if unit in UNITS}),
        free=row.free,
        created_at=row.created_at.timestamp(),
        expires_at=row.expires_at.timestamp(),
        answer=row.answer.encode() if row.form in {EVENTS, CHUNKS} else _compact(row.answer),
        form=row.form,
        ignored=tuple(row.ignored.splitlines()),
        pinned=row.pinned,
    )


def _compact(answer: str) -> bytes:
    """Return an answer as it was kept; one that was edited by hand loses its line ends, which no event may hold."""
    raw = answer.encode()
    return orjson.dumps(orjson.loads(raw)) if b"\n" in raw else raw
