"""Replays in the background: a thread for each, small pieces with rests, progress and cancelling through its row."""

import logging
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.ledger.ids import lowest
from accounts.models import RequestRecord
from accounts.prices import UNITS, Usage
from proxy import features
from proxy.features import BYTES_A_TOKEN
from proxy.gateway import SHADOW
from proxy.native.passing import OWN_API
from qlite_site.models import Replay
from qlite_site.simulate import tables
from qlite_site.simulate.replay import Recorded, Tally, replay
from routing import store
from routing.decide import Request
from routing.snapshot import compile

log = logging.getLogger("qlite.replay")

# The thread shares the interpreter with the event loop, so it works in pieces of a few milliseconds, with rests.
PIECE = 40  # requests
REST = 0.003  # seconds
NOTED_EACH = 0.25  # seconds between two looks at the row
AT_ONCE = 2  # in all processes
SILENT = timedelta(seconds=20)  # a run that says nothing for so long died with its process
BILLS = ("batch", "background")  # what answers cost that were made later, of calls that have a record of their own
FIELDS = (
    "id",
    "surface",
    "model_asked",
    "team",
    "stream",
    "tags",
    "prompt_bytes",
    "features",
    "session",
    "cached",
    *UNITS,
)


def start(author: str, window: timedelta, size: int) -> Replay:
    """Freeze both tables, begin in the background, and return the row to watch. Raises RoutingRefused."""
    now = timezone.now()
    with transaction.atomic():
        store.wait_for_other_publishers()  # who would else start one between our look and our row
        refuse_more()
        run = Replay.objects.create(
            author=author,
            since=now - window,
            until=now,
            size=size,
            serving=tables.serving_document(),
            draft=tables.draft_document(),
            beat_at=now,
        )
    threading.Thread(target=_work, args=(run.pk,), name=f"replay-{run.pk}", daemon=True).start()
    return run


def refuse_more() -> None:
    """Raise RoutingRefused where as many run as may: each takes its share of a process that serves calls."""
    alive = Replay.objects.filter(state=Replay.State.RUNNING, beat_at__gte=timezone.now() - SILENT)
    if alive.count() >= AT_ONCE:
        raise store.RoutingRefused(f"{AT_ONCE} replays run already: wait for one to end, or cancel it")


def cancel(run: Replay) -> None:
    Replay.objects.filter(pk=run.pk, state=Replay.State.RUNNING).update(state=Replay.State.CANCELLED)


def settle_silent(run: Replay) -> None:
    """Mark a run whose process has died."""
    dead = Replay.objects.filter(pk=run.pk, state=Replay.State.RUNNING, beat_at__lt=timezone.now() - SILENT)
    if dead.update(state=Replay.State.FAILED, trouble="The process that ran it has ended."):
        run.refresh_from_db()


def work(pk: int) -> None:
    """Run a replay to its end, or until somebody cancels it."""
    run = Replay.objects.get(pk=pk)
    before, after = compile(run.serving, {}, 0), compile(run.draft, {}, 0)
    outlook = tables.outlook(breakers=False)  # it is about the table, not about this minute
    price = tables.price_by(outlook.book, outlook.now)
    tally, noted = Tally(), time.monotonic()
    for piece in pieces(run):
        replay(piece, before, after, outlook, price, tally)
        time.sleep(REST)
        if time.monotonic() - noted > NOTED_EACH:
            noted = time.monotonic()
            if not _note(run, tally):
                return
    _note(run, tally, state=Replay.State.DONE)


def _work(pk: int) -> None:
    try:
        work(pk)
    except Exception as error:
        log.exception("replay %s failed", pk)
        Replay.objects.filter(pk=pk).update(state=Replay.State.FAILED, trouble=f"{type(error).__name__}: see the log")
    finally:
        connection.close()


def _note(run: Replay, tally: Tally, **more: Any) -> bool:
    """Write down how far it is. Returns False where somebody has cancelled it."""
    running = Replay.objects.filter(pk=run.pk, state=Replay.State.RUNNING)
    return bool(running.update(tally=tally.as_dict(), beat_at=timezone.now(), **more))


def pieces(run: Replay) -> Iterator[list[Recorded]]:
    """Yield the newest requests of the window, newest first, a few at a time. Ids are in the order of time."""
    asked = RequestRecord.objects.filter(at__gte=run.since, pk__gte=lowest(run.since.timestamp()))
    asked = asked.exclude(key_id="", key_label=SHADOW.label).exclude(surface__in=BILLS)  # nobody asked for these
    nameless = Q(model_asked="") | Q(surface__endswith=OWN_API, model_asked__contains=" ")  # its method and path
    rows = asked.exclude(nameless).order_by("-pk").values(*FIELDS)
    left, below = run.size, lowest(run.until.timestamp())
    while left > 0 and (found := list(rows.filter(pk__lt=below)[: min(PIECE, left)])):
        yield [_recorded(row) for row in found]
        left, below = left - len(found), found[-1]["id"]


def _recorded(row: dict[str, Any]) -> Recorded:
    has: dict[str, Any] = features.named(row["features"])
    request = Request(
        model=row["model_asked"],
        team=row["team"],
        stream=row["stream"],
        tokens=row["prompt_bytes"] // BYTES_A_TOKEN,
        tags=row["tags"],
        session=str(row["session"] or ""),
        **has,
    )
    # What the cache answered was paid when it was asked for first.
    usage = None if row["cached"] else Usage(**{unit: row[unit] for unit in UNITS})
    return Recorded(row["id"], request, usage, row["surface"])
