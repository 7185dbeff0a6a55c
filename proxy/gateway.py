"""The story of one request, in the order it happens, and the state it needs."""

import asyncio
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from accounts.budgets.purse import Purse
from accounts.keys import Grant, may_use
from accounts.ledger.entry import Attempt, Entry
from accounts.ledger.ids import uuid7
from accounts.ledger.journal import Journal
from accounts.prices import Book, Usage
from proxy import admission, features, forward, settle, shadow, tags, tokens, ways
from proxy import chat as chats
from proxy.attempts import Attempts
from proxy.cache import Cache
from proxy.call import STOPPING, Call, Reply
from proxy.counters import Counters
from proxy.delivery import Delivery
from proxy.dialects.base import Asked
from proxy.errors import BadRequest, CannotSay, GatewayError, ModelNotFound, Unavailable, UpstreamError
from proxy.guesses import Guesses
from proxy.ondisk import OnDisk
from proxy.outlook import Outlook
from proxy.providers import ADAPTERS
from proxy.providers.base import Outgoing
from proxy.requestlog import RequestLog
from proxy.signatures import Signatures
from proxy.upstream import Upstream, arrived, limits_of, without_private
from proxy.ways import Way
from routing.decide import order
from routing.health import Health
from routing.probes import Probes
from routing.snapshot import Snapshot, Target

log = logging.getLogger("qlite.gateway")

_TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C trace context, level 1

HERE: nullcontext[None] = nullcontext()  # no timer, which takes longer than to read what is here
PATIENCE = 60.0  # seconds after a call came in, after which nobody is tried again

Proceed = Callable[[Call], Awaitable[Reply]]


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
    chain: Proceed | None = None  # the stages around `dispatch`, see proxy/pipeline.py
    tag_names: frozenset[str] = frozenset()  # tags that are kept on records
    origin: str = ""  # names this process in rows that several processes write
    draining: Callable[[], bool] = lambda: False
    tables_read_at: float = 0.0  # monotonic seconds, 0 until the tables were read for the first time
    unfit: list[str] = field(default_factory=list)  # why this process must not serve
    clock: Callable[[], float] = time.time
    draw: Callable[[], float] = random.random
    guesses: Guesses = field(default_factory=lambda: Guesses(0))  # wrong keys
    shadow_payer: shadow.Payer = field(default_factory=shadow.Payer)
    copies: int = 0  # of calls for shadow targets, under way
    used: dict[str, float] = field(default_factory=dict)  # key id -> last use, taken by the housekeeper
    signatures: Signatures = field(default_factory=lambda: Signatures(time.monotonic))
    batches: set[str] = field(default_factory=set)  # those whose record has been written, see proxy.native.batches
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

    async def serve(self, call: Call, raw: bytes, check: Callable[[], None] = lambda: None, **url: Any) -> Reply:
        """Read the request, find its route and take it through the stages. `url` holds what the URL says of it.

        Raises GatewayError, by then in the ledger, whatever was wrong: the body, the model, the providers.
        """
        try:
            check()
            self._read(call, raw, url)
            if self.tag_names:
                tags.note(call, self.tag_names)
            reply = await (self.chain or self.dispatch)(call)
            if self.on_disk is not None and not isinstance(reply.stream, Delivery):
                await settle.written(self)
            return reply
        except Unavailable as error:
            self.let_go(call, error)
            raise
        except GatewayError as error:
            if call.entry.status == "open":
                settle.refused(self, call, error)
            raise
        except asyncio.CancelledError as cancelled:
            if cancelled.args == (STOPPING,):
                self.ended(call, STOPPING, 503)
            else:
                call.entry.client_gone = True
                self.ended(call, "client_disconnected", 499)
            raise
        except Exception:
            self.ended(call, "internal_error", 500)
            raise

    def _read(self, call: Call, raw: bytes, url: Mapping[str, Any]) -> None:
        """Parse the body in the caller's dialect and find the route. Raises BadRequest or ModelNotFound."""
        snapshot = self.snapshot  # read once: it may be swapped at any moment
        call.entry.revision = snapshot.revision
        if call.dialect is None:
            chat = call.inner = chats.parse(raw)
            call.asked = asked = Asked(raw, chat.body, chat.model, chat.stream)
        elif call.passing is not None:
            call.passing.admit(call, raw, snapshot)
            call.entry.features = features.noted(call.asked.body)
            return
        else:
            call.asked = asked = call.dialect.parse(raw, **url)
        call.entry.stream, call.entry.model_asked = asked.stream, asked.model[:200]
        call.entry.features = features.noted(asked.body)
        match = snapshot.find(asked.model, call.grant.team)
        if match is None or not may_use(call.grant, asked.model):
            raise ModelNotFound(asked.model)
        call.match, call.entry.route = match, match.route.name

    async def dispatch(self, call: Call) -> Reply:
        """Call the targets until one answers."""
        targets = self._ordered(call)
        if call.asked.operation == "count_tokens" and not any(ways.is_native(call, target) for target in targets):
            return await self._count_here(call)
        if call.grant.priced_only:
            targets = settle.with_price(self, call, targets)
        if not targets:
            raise UpstreamError(
                "No target of this route takes this request.", status=503, code="no_target", retry_after=5
            )
        if self.purse.table is not None:
            targets = await admission.reserve(self, call, targets)
        if call.match.shadows:
            shadow.cast(self, call)
        retries, deadline = call.match.route.retries, call.started + PATIENCE
        attempts = Attempts(self.health, self.clock, self.draw, retries, deadline, probes=self.probes)
        if (passing := call.passing) is not None:
            return await attempts.first_success(targets, lambda target: passing.attempt(self, call, target))
        return await attempts.first_success(targets, lambda target: self._attempt(call, target))

    def _ordered(self, call: Call) -> list[Target]:
        """Return the targets to try, best first."""
        match = call.match
        request = None if match.plain else features.of(call)
        return order(match, request, Outlook(self.health, self.book, self.clock()), self.draw)

    async def _count_here(self, call: Call) -> Reply:
        """Count a prompt's tokens where no target's own endpoint does: an estimate, at no cost."""
        counted = await tokens.estimate_later(call.countable, call.asked.model, [], call.entry.prompt_bytes)
        ours = Attempt(1, "qlite/estimate", "qlite", "stub", call.asked.model[:200], self.clock(), "settled", 200)
        ours.cost_status = "free"
        call.entry.attempts.append(ours)
        settle.close(self, call, status="settled", http_status=200)
        told = call.dialect.counted(counted.input) if call.dialect is not None else {}
        return Reply("qlite", "qlite/estimate", body=orjson.dumps(told), usage_source="estimated")

    async def _attempt(self, call: Call, target: Target) -> Reply:
        way = ways.choose(call, target)
        out = self._outgoing(call, target, way)
        attempt = await settle.opened(self, call, target)
        try:
            response = await self.upstream.open(target, out, ADAPTERS[target.provider.kind])
            tried = [each.target for each in call.entry.attempts]
            reply = Reply(target.provider.name, target.name, attempts=tried, ignored=out.ignored)
            reply.limits = limits_of(response)
            if call.asked.stream:
                await self._begin_stream(call, attempt, target, way, response, reply)
            else:
                await self._read_answer(call, attempt, target, way, response, reply)
        except UpstreamError as error:
            blamed = forward.blamed(without_private(error, target.provider), call, target.provider)
            settle.attempt_failed(self, call, attempt, target, blamed)
            raise
        return reply

    def _outgoing(self, call: Call, target: Target, way: Way) -> Outgoing:
        """Return the request for `target`. What its dialect cannot say, another target's may: so the next is tried."""
        try:
            out = way.request(call, target)
        except BadRequest as error:
            raise CannotSay(error) from error
        if call.authorization:
            out = replace(out, headers=(*out.headers, *forward.header(call, target.provider)))
        if call.traceparent and _TRACE.fullmatch(call.traceparent):
            out = replace(out, headers=(*out.headers, ("traceparent", call.traceparent)))
        return out

    async def _begin_stream(
        self, call: Call, attempt: Attempt, target: Target, way: Way, response: Any, reply: Reply
    ) -> None:
        deadline = time.monotonic() + self.upstream.timeouts(target).total
        stream = way.stream(call, target, response.stream, deadline)
        await stream.begin()
        call.entry.first_token_us = int((time.monotonic() - call.started) * 1_000_000)
        settle.took(self, call, target, settle.passed(call) / 1_000_000)
        delivery = Delivery(self, call, attempt, target, stream)
        delivery.reply, reply.stream = reply, delivery

    async def _read_answer(
        self, call: Call, attempt: Attempt, target: Target, way: Way, response: Any, reply: Reply
    ) -> None:
        limit = self.upstream.timeouts(target).total
        try:
            async with HERE if arrived(response) else asyncio.timeout(limit):
                raw = await self.upstream.read(response, target.provider)
        except TimeoutError:
            response.stream.close()
            raise UpstreamError(
                "The answer took too long.", status=504, code="upstream_timeout", billable=True
            ) from None
        read = way.read(call, target, raw)
        reply.usage, reply.usage_source = read.usage, "provider"
        if call.free:
            reply.usage, reply.usage_source = None, "none"
        elif reply.usage is None:
            reply.usage, reply.usage_source = await self._estimate(call, attempt, read.parsed), "estimated"
        settle.answered(self, call, attempt, target, reply.usage, reply.usage_source)
        reply.body, reply.cost_nano = read.body, settle.cost_of(call)
        if read.with_usage is not None and reply.usage is not None:
            reply.body = read.with_usage(reply.usage)

    async def _estimate(self, call: Call, attempt: Attempt, parsed: dict[str, Any]) -> Usage:
        event = [b"data: " + orjson.dumps(parsed) + b"\n\n"]
        return await tokens.estimate_later(call.countable, attempt.model, event, call.entry.prompt_bytes)

    def let_go(self, call: Call, error: Unavailable) -> None:
        """Part with a call that cannot be written down. One that was not sent at all leaves nothing behind."""
        if not call.entry.attempts:
            if call.reservation is not None:
                self.purse.void(call.reservation)
        elif call.entry.status == "open":
            with suppress(Unavailable):  # it is settled later
                settle.refused(self, call, error)

    def ended(self, call: Call, code: str, http_status: int) -> None:
        """The call ended before there was an answer, through no provider's fault: what was sent may be billed."""
        attempts = call.entry.attempts
        if call.entry.status != "open":
            return
        if attempts and attempts[-1].status == "open":
            target = next(t for t in call.match.targets if t.name == attempts[-1].target)
            error = UpstreamError(f"Ended by {code}.", status=499, code=code, billable=True)
            error.try_next = False  # the provider is not to blame
            settle.attempt_failed(self, call, attempts[-1], target, error)
        billed = any(attempt.status == "interrupted" for attempt in attempts)
        settle.close(self, call, status="interrupted" if billed else "failed", http_status=http_status, error=code)

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
