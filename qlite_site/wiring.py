"""Builds the one Gateway of a process from settings and stores, and lists what the housekeeper does for it."""

import asyncio
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from django.conf import settings
from django.utils.module_loading import import_string

from accounts.keys import KeyRejected, admit
from accounts.ledger.ids import uuid7
from accounts.ledger.journal import Journal, JournalUnavailable
from accounts.prices import Book
from accounts.store.leases import Leases
from proxy.cache import Cache
from proxy.counters import Counters
from proxy.errors import GatewayError, NotAuthenticated
from proxy.gateway import SHADOW, Gateway
from proxy.guarded import Guarded
from proxy.guesses import Guesses
from proxy.ondisk import OnDisk
from proxy.pipeline import ExactCache, Stage, chained
from proxy.requestlog import RequestLog
from proxy.serving import dispatch
from proxy.surfaces import gateway as held
from proxy.surfaces import shape, uploads
from proxy.surfaces.access import NO_KEY, key_in, key_of, turned_away
from proxy.surfaces.answers import JSON, marks
from proxy.surfaces.request import client_id_of
from proxy.upstream import Timeouts, Upstream
from qlite_site import proxies
from qlite_site.chores import answers, chores, local_chores, log_chores, post_chores
from qlite_site.housekeeper import Chore, Housekeeper
from qlite_site.post import Post
from qlite_site.server.status import state
from routing.health import Health
from routing.snapshot import build
from routing.store.breakers import Exchange

START_SECONDS = 60.0
TABLES = 6  # of the database's chores, the first that have to be done
STOP_SECONDS = 5.0
# Nothing below these without a key.
KEYED = (b"/v1/", b"/v1beta/", b"/proxy", b"/openai/", b"/anthropic/", b"/gemini/", b"/groq/")

_keepers: list[Housekeeper] = []
_starting = threading.Lock()


def build_gateway() -> Gateway:
    """Return a gateway with empty tables; the housekeeper fills them before the first request."""
    journal = Journal(settings.JOURNAL_DIR, cap_bytes=settings.JOURNAL_BYTES)
    counters = Counters(folder=os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""))
    gateway = Gateway(
        snapshot=build(0, (), ()),
        keys={},
        book=Book(()),
        journal=journal,
        on_disk=OnDisk(journal.commit) if settings.JOURNAL_SYNC == "full" else None,
        cache=Cache(settings.CACHE_BYTES, settings.CACHE_TTL),
        upstream=Upstream(
            Timeouts(
                settings.CONNECT_TIMEOUT,
                settings.FIRST_BYTE_TIMEOUT,
                settings.STREAM_IDLE_TIMEOUT,
                settings.TOTAL_TIMEOUT,
            ),
            max_response_bytes=settings.MAX_RESPONSE_BYTES,
        ),
        health=Health(lambda change: counters.breaker_moved(change.target.partition("/")[0], change.state)),
        counters=counters,
        requests=RequestLog(enabled=settings.REQUEST_LOG),
        shadow_payer=replace(SHADOW, team=settings.SHADOW_TEAM, cost_centre=settings.SHADOW_COST_CENTRE),
        tag_names=frozenset(settings.TAGS),
        origin=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}",
        guesses=Guesses(settings.WRONG_KEYS),
        draining=lambda: state.draining,
    )
    # Stages come from settings alone: whoever may edit the database may not name code (reliability SR-10).
    stages = [ExactCache(gateway), *map(_stage, settings.STAGES)]
    gateway.chain = chained(stages, partial(dispatch, gateway))
    return gateway


def _stage(path: str) -> Stage:
    """Return the stage that a dotted path names. Ends the process where it leads to none."""
    try:
        stage: Stage = import_string(path)()
    except (ImportError, TypeError) as error:
        raise SystemExit(f"qlite cannot start: QLITE_STAGES: {path}: {error}") from None
    if not callable(getattr(stage, "around", None)):
        raise SystemExit(f"qlite cannot start: QLITE_STAGES: {path} makes no stage, which has a method `around`")
    return Guarded(stage)


def start(worker_index: int = 0, *, build: Callable[[], Gateway] | None = None) -> None:
    """Load the tables and start the housekeepers. Ends the process where the tables cannot be read."""
    # The housekeeper shares the interpreter with the loop: the loop is to have it back within a tenth of a millisecond.
    sys.setswitchinterval(0.0001)
    try:
        gateway = (build or build_gateway)()
    except JournalUnavailable as error:
        raise SystemExit(f"qlite cannot start: {error}") from None
    post = Post()
    held_leases = Leases(gateway.purse, gateway.journal)
    breakers = Exchange(gateway.health, gateway.origin)
    answer = answers(gateway, held_leases, breakers)
    database = chores(gateway, held_leases, breakers, post, answer)
    keeper = Housekeeper(database, urgent=answer)
    gateway.purse.wake = gateway.probes.wake = keeper.call
    _keepers.extend(
        (
            keeper,
            Housekeeper(local_chores(gateway), name="journal"),
            Housekeeper(log_chores(gateway), name="log"),
            Housekeeper(post_chores(post), name="post"),
        )
    )
    held.install(gateway)
    for each in _keepers:
        each.start()
    _wait_for_tables(gateway, keeper, database[:TABLES])


def _wait_for_tables(gateway: Gateway, keeper: Housekeeper, first: Sequence[Chore]) -> None:
    """Wait until `first`, the chores that fill the tables, are done. Ends the process as soon as one fails.

    The rest of the first round, which a locked database may hold up, is not waited for.
    """
    deadline = time.monotonic() + START_SECONDS
    while not gateway.tables_read_at and time.monotonic() < deadline:
        if gateway.unfit or any(chore.failing for chore in first):
            break
        keeper.ready.wait(0.02)
    if gateway.unfit:
        raise SystemExit(f"qlite cannot start: {'; '.join(gateway.unfit)}")
    if not gateway.tables_read_at:
        raise SystemExit("qlite cannot start: the database cannot be read; the log above says why")


def ensure_started() -> None:
    """Start once, under servers that have no hook for it."""
    if _keepers:
        return
    with _starting:
        if not _keepers:
            start()


async def stop() -> None:
    """Finish what is owed for answers already given, write the ledger, and close the sockets."""
    gateway = held.current()
    if gateway.tasks:
        await asyncio.wait(gateway.tasks, timeout=STOP_SECONDS)
    await gateway.upstream.aclose()
    while _keepers:
        _keepers.pop(0).stop()
    gateway.journal.close()
    held.install(None)


def early(
    method: str, path: bytes, headers: list[tuple[bytes, bytes]], address: str
) -> tuple[int, list[tuple[bytes, bytes]], bytes] | None:
    """Turn away, before its large body is read, who has no valid key."""
    if not path.startswith(KEYED):
        return None
    gateway = held.current()
    key = key_of(dict(headers), forwards=gateway.snapshot.forwards) or key_in(
        path.partition(b"?")[2]
    )  # where it may not stand, the view says so
    query = path.partition(b"?")[2].decode("latin-1")
    if not key and path.startswith(uploads.PREFIX) and uploads.begun_by(query, gateway.clock()):
        return None  # the view looks closer
    try:
        admit(gateway.keys, key, now=gateway.clock())
    except KeyRejected as rejection:
        address = proxies.caller(address, headers, settings.TRUSTED_PROXIES)
        error = turned_away(gateway, rejection, address) if key else NotAuthenticated(NO_KEY)
        more = (b"retry-after", b"%d" % error.retry_after) if error.retry_after else (b"www-authenticate", b"Bearer")
        return error.status, [*error_headers(headers), more], _told(error, path)
    return None


def error_body(status: int, code: str, message: str, path: bytes) -> bytes:
    """Return the body of an error that the server answers by itself."""
    return _told(GatewayError(message, status=status, code=code), path)


def _told(error: GatewayError, path: bytes) -> bytes:
    """Return the body of `error` in the words of the surface at `path`, which may have a query."""
    return shape.error_body(error, path.partition(b"?")[0].decode("latin-1"), "")


def error_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers of such an error, for the headers of its request as far as there are any."""
    given, ours = dict(headers), uuid7(held.current().clock())
    return [JSON, (b"x-error-origin", b"gateway"), *marks(ours, client_id_of(given) or ours, given)]
