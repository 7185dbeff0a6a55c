"""What one process holds for all calls: its tables, and what their stages, rows and money need."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from accounts.budgets.purse import Purse
from accounts.keys import Grant
from accounts.ledger.entry import Entry
from accounts.ledger.ids import uuid7
from accounts.ledger.journal import Journal
from accounts.prices import Book
from proxy.cache import Cache
from proxy.call import Call, Proceed
from proxy.counters import Counters
from proxy.errors import GatewayError
from proxy.guesses import Guesses
from proxy.ondisk import OnDisk
from proxy.requestlog import RequestLog
from proxy.signatures import Signatures
from proxy.upstream import Upstream
from routing.health import Health
from routing.probes import Probes
from routing.snapshot import Snapshot

log = logging.getLogger("qlite.gateway")

SHADOW = Grant(key_id="", label="shadow", team="ops")


@dataclass(slots=True)
class Gateway:
    """Everything one process holds. `snapshot`, `keys` and `book` are swapped whole by the housekeeper."""

    snapshot: Snapshot
    keys: Mapping[str, Grant]
    book: Book
    journal: Journal
    cache: Cache
    upstream: Upstream
    health: Health
    counters: Counters
    requests: RequestLog
    on_disk: OnDisk | None = None  # awaited before a call goes on, where the journal is to outlive a power cut
    purse: Purse = field(default_factory=lambda: Purse(lambda: uuid7(time.time())))
    probes: Probes = field(default_factory=Probes)  # of half-open targets
    chain: Proceed | None = None  # the stages around the dispatch, see proxy/pipeline.py
    tag_names: frozenset[str] = frozenset()  # tags that are kept on records
    origin: str = ""  # names this process in rows that several processes write
    draining: Callable[[], bool] = lambda: False
    tables_read_at: float = 0.0  # monotonic seconds, 0 until the tables were read for the first time
    unfit: list[str] = field(default_factory=list)  # why this process must not serve
    clock: Callable[[], float] = time.time
    draw: Callable[[], float] = random.random
    guesses: Guesses = field(default_factory=lambda: Guesses(0))  # wrong keys
    shadow_payer: Grant = SHADOW  # of copies, see proxy.shadow
    copies: int = 0  # of calls for shadow targets, under way
    used: dict[str, float] = field(default_factory=dict)  # key id -> last use, taken by the housekeeper
    signatures: Signatures = field(default_factory=lambda: Signatures(time.monotonic))
    billed: set[str] = field(default_factory=set)  # of what is billed once, see proxy.native.batches
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def receive(self, grant: Grant, *, surface: str, request_id: str, client_request_id: str, size: int) -> Call:
        """Return a new call by the holder of `grant`, whose body of `size` bytes has not been read yet."""
        now = self.clock()
        self.used[grant.key_id] = now
        entry = Entry(
            id=request_id,
            client_request_id=client_request_id,
            at=now,
            surface=surface,
            team=grant.team,
            cost_centre=grant.cost_centre,
            owner=grant.owner,
            key_id=grant.key_id,
            key_label=grant.label,
            route="",
            model_asked="",
            revision=self.snapshot.revision,
            stream=False,
            prompt_bytes=size,
        )
        return Call(grant, entry, time.monotonic(), signatures=self.signatures)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work` to its end whatever becomes of the request; failures are logged."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, GatewayError | TimeoutError):
            log.error("work after a request failed", exc_info=error)
