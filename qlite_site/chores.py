"""What the housekeeper does each second: rows to memory, journal to rows, cache to rows, lines to the log."""

import sys
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings

from accounts.ledger.pricing import pricing
from accounts.store import alerts, books, budgets, keys, leases, ledger, marks, months, prices, reprice
from accounts.store.books import Books
from proxy import store as cached
from proxy.gateway import Gateway
from qlite_site import fitness
from qlite_site.housekeeper import Chore
from qlite_site.post import Post
from routing import store as routes
from routing.store.breakers import Exchange

# This thread shares the interpreter with the event loop, so it works in pieces of a millisecond or two, with rests.
BATCH = 40  # rows moved at once
BATCHES = 200  # moved in one turn at most
REST = 0.003  # seconds
CACHE_WRITES = 200  # new answers written down a second; what comes beyond that is kept in memory alone
RELOAD_SECONDS = 60.0  # tables whose rows may change are read again after this long, changed or not


def answers(gateway: Gateway, held: leases.Leases, breakers: Exchange) -> Callable[[], None]:
    """Return what answers the calls that wait: for money of a budget, or whether to try a half-open target."""

    def answer() -> None:
        try:
            held.answer()
        finally:
            breakers.answer(gateway.probes)

    return answer


def chores(
    gateway: Gateway, held: leases.Leases, breakers: Exchange, post: Post, answer: Callable[[], None]
) -> list[Chore]:
    """Return what meets the database. The first six judge it and fill the tables, before the first request."""
    known = Reload(marks.of_keys, lambda: _load_keys(gateway))
    book = Reload(marks.of_prices, lambda: _load_prices(gateway), at_least_each=float("inf"))
    table = Reload(routes.mark, lambda: _load_routes(gateway))
    limits = Reload(marks.of_budgets, lambda: _load_budgets(gateway))
    writer = cached.Writer(gateway.cache, origin=gateway.origin)
    kept = Books(gateway.origin, keep_days=settings.LEDGER_RETENTION_DAYS, rest=lambda: time.sleep(REST))
    return [
        Chore("judging whether to start", lambda: _judge(gateway), every=float("inf")),
        Chore("loading keys", known, every=0.5),
        Chore("loading prices", book, every=0.5),
        Chore("loading the routing table", table, every=0.25),
        Chore("loading budgets", limits, every=0.5),
        Chore("noting when the tables were read", lambda: _tables_read(gateway, known, book, table, limits), every=0.5),
        Chore("publishing what was scheduled", lambda: routes.publish_due(), every=0.25),
        Chore("sharing breakers", breakers, every=0.25),
        Chore("reading cache entries", writer.read, every=1.0),
        Chore("draining the journal", lambda: _drain(gateway, answer), every=0.25, at_exit=True),
        Chore("keeping leases of budgets", held.keep, every=0.25),
        Chore("giving leases of budgets back", held.leave, every=float("inf"), at_exit=True, due=float("inf")),
        Chore("adopting journals of dead processes", lambda: _adopt(gateway), every=5.0),
        Chore("noticing budgets that reach a threshold", alerts.notice, every=10.0),
        Chore("handing out alerts", post.exchange, every=1.0),
        Chore("reaping leases of dead processes", lambda: leases.reap(settings.JOURNAL_DIR), every=2.0),
        Chore("writing cache entries", lambda: _write_cache(gateway, writer), every=1.0, at_exit=True),
        Chore("making room for the next months", months.ensure, every=3600.0),
        Chore("keeping the books", kept.turn, every=1.0),
        Chore("showing how the books stand", lambda: _show_books(gateway), every=30.0),
        Chore("repricing", lambda: _reprice(gateway), every=1.0),
        Chore("removing expired cache entries", writer.expire, every=60.0),
        Chore("noting when keys were used", lambda: _note_use(gateway), every=10.0, at_exit=True),
    ]


def post_chores(post: Post) -> list[Chore]:
    """Return what waits for mail servers and webhooks, and then must keep nothing else waiting."""
    return [Chore("sending alerts", post.send, every=1.0)]


def local_chores(gateway: Gateway) -> list[Chore]:
    """Return what meets only this machine's disk: a database that hangs must not keep the journal from being synced."""
    return [
        Chore("syncing the journal", gateway.journal.sync, every=1.0, at_exit=True),
        Chore("setting gauges", lambda: _gauges(gateway), every=2.0),
    ]


def log_chores(gateway: Gateway) -> list[Chore]:
    """Return what writes to a pipe that may be blocked, and then must block nothing else."""
    return [Chore("writing the request log", lambda: _write_log(gateway), every=0.25, at_exit=True)]


class Reload:
    """Loads a table again when its mark has changed, and now and then without. `read_at` is in monotonic seconds."""

    def __init__(
        self, mark: Callable[[], Any], load: Callable[[], None], *, at_least_each: float = RELOAD_SECONDS
    ) -> None:
        self._mark, self._load, self._at_least_each = mark, load, at_least_each
        self._seen: Any = None
        self._loaded_at = float("-inf")
        self.read_at = 0.0

    def __call__(self) -> None:
        mark = self._mark()  # before loading: a change in between is seen next time
        if mark != self._seen or time.monotonic() - self._loaded_at > self._at_least_each:
            self._load()
            self._seen, self._loaded_at = mark, time.monotonic()
        self.read_at = time.monotonic()


def _judge(gateway: Gateway) -> None:
    gateway.unfit = list(fitness.problems())


def _load_keys(gateway: Gateway) -> None:
    gateway.keys = keys.load_keys()


def _load_prices(gateway: Gateway) -> None:
    gateway.book = prices.load_book()


def _load_budgets(gateway: Gateway) -> None:
    gateway.purse.table = budgets.load_table()


def _load_routes(gateway: Gateway) -> None:
    gateway.snapshot = routes.load_snapshot()


def _tables_read(gateway: Gateway, *tables: Reload) -> None:
    gateway.tables_read_at = min(table.read_at for table in tables)


def _drain(gateway: Gateway, answer: Callable[[], None]) -> None:
    for _ in range(BATCHES):
        if ledger.drain(gateway.journal, BATCH) < BATCH:
            return
        answer()
        time.sleep(REST)


def _adopt(gateway: Gateway) -> None:
    ledger.adopt(settings.JOURNAL_DIR, gateway.journal)


def _show_books(gateway: Gateway) -> None:
    found, counters = books.state(), gateway.counters
    counters.verify_days.set(found.days)
    counters.verify_problems.set(found.problems)
    counters.verified_at.set(found.verified_at)


def _reprice(gateway: Gateway) -> bool:
    """Do a step of what somebody asked for. Returns whether there is more."""
    id = reprice.unfinished()
    return id is not None and reprice.step(id, pricing(gateway.book))


def _write_cache(gateway: Gateway, writer: cached.Writer) -> None:
    for _ in range(CACHE_WRITES // BATCH):
        if writer.write(BATCH) < BATCH:
            break
        time.sleep(REST)
    writer.count_hits()


def _note_use(gateway: Gateway) -> None:
    used, gateway.used = gateway.used, {}
    if used:
        keys.touch_used(used)


def _write_log(gateway: Gateway) -> None:
    while lines := gateway.requests.take(BATCH * 2):
        sys.stdout.buffer.write(lines)
        time.sleep(REST)
    sys.stdout.flush()


def _gauges(gateway: Gateway) -> None:
    gateway.counters.backlog.set(gateway.journal.backlog())
    gateway.counters.in_flight.set(gateway.journal.in_flight())
    gateway.counters.table_age.set(time.monotonic() - gateway.tables_read_at)
    gateway.counters.open_breakers(gateway.health.open_by_provider(time.time()))
    gateway.counters.log_dropped.set(gateway.requests.dropped)
