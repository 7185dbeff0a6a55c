"""The stages around a call, in order: the exact cache, then the stages named in QLITE_STAGES, then dispatch.

A stage is given the call and what comes after it:

    class Shout:
        async def around(self, call: Call, proceed: Proceed) -> Reply:
            reply = await proceed(call)
            reply.body = reply.body.upper()
            return reply

A stage that wants to see streams chunk by chunk also has `around_stream(self, call, chunks) -> Chunks`; one that has
not leaves streams alone. A stage may answer by itself, or raise a GatewayError, which reaches the caller as such.
Stages are named in settings only, never in the database (reliability SR-10).
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import orjson

from accounts.prices import Usage
from proxy import again, cacheable, replay, settle
from proxy import cache as caching
from proxy.call import Call, Chunks, Proceed, Reply
from proxy.delivery import Delivery
from proxy.gateway import Gateway


class Stage(Protocol):
    async def around(self, call: Call, proceed: Proceed) -> Reply: ...


class StreamStage(Stage, Protocol):
    def around_stream(self, call: Call, chunks: Chunks) -> Chunks: ...


def chained(stages: Sequence[Stage], dispatch: Proceed) -> Proceed:
    """Return one function that takes a call through `stages`, first to last, and then to `dispatch`."""
    proceed = dispatch
    for stage in reversed(stages):
        proceed = _step(stage, proceed)
    return proceed


def _step(stage: Stage, proceed: Proceed) -> Proceed:
    wrap = getattr(stage, "around_stream", None)

    async def step(call: Call) -> Reply:
        reply = await stage.around(call, proceed)
        if wrap is not None and reply.stream is not None:
            reply.stream = wrap(call, reply.stream)
        return reply

    return step


class Whole:
    """Bytes that are there already, as a stream."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.over = False

    async def next(self) -> bytes:
        data, self._data, self.over = self._data, b"", True
        return data

    def close(self) -> None:
        self._data = b""


class ExactCache:
    """The first stage: gives kept answers again, lets one of several equal calls go ahead, keeps what it brings."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._cache = gateway.cache

    async def around(self, call: Call, proceed: Proceed) -> Reply:
        ttl = call.match.route.cache_ttl
        ttl = self._cache.default_ttl if ttl is None else ttl
        if ttl <= 0 or not (call.reads_cache or call.writes_cache) or not cacheable.may_ask(call):
            return await proceed(call)
        key = caching.key_of(call)
        if call.reads_cache:
            found = self._cache.get(key, self._gateway.clock())
            if found is None and key in self._cache.flights:
                found = await self._from_flight(key)
            if found is not None and (answer := self.answer_of(found)) != replay.NOTHING:
                return await self._hit(call, found, answer)
            self._gateway.counters.cache("miss")
        if not call.writes_cache:
            return await proceed(call)
        return await self._lead(call, proceed, key, ttl)

    async def _from_flight(self, key: str) -> caching.Entry | None:
        """Wait for an equal call that is under way. None if there is none, or if it brought nothing to keep."""
        flights, deadline = self._cache.flights, asyncio.get_running_loop().time() + caching.FLIGHT_SECONDS
        while (flight := flights.get(key)) is not None:
            left = deadline - asyncio.get_running_loop().time()
            done, _ = await asyncio.wait([flight], timeout=max(left, 0))
            if not done:
                return None
            if (entry := flight.result()) is not None:
                return entry
        return None

    async def _lead(self, call: Call, proceed: Proceed, key: str, ttl: int) -> Reply:
        flight: asyncio.Future[caching.Entry | None] = asyncio.get_running_loop().create_future()
        leads = self._cache.flights.setdefault(key, flight) is flight

        def land(entry: "caching.Entry | None") -> None:
            if leads and not flight.done():
                self._cache.flights.pop(key, None)
                flight.set_result(entry)

        try:
            reply = await proceed(call)
        except BaseException:
            land(None)
            raise
        reply.cache = "MISS" if call.reads_cache else "BYPASS"
        stream = reply.stream
        if isinstance(stream, Delivery):
            form = self._form(call, stream)
            reply.on_complete.append(lambda ended, kept: land(self._keep(call, ended, key, ttl, form, b"".join(kept))))
            reply.on_failure.append(lambda: land(None))
        elif stream is None:
            land(self._keep(call, reply, key, ttl, _plain(call), b""))
        else:
            land(None)  # a stage changes the stream, and what it makes of it is nowhere whole
        return reply

    def _form(self, call: Call, stream: Delivery) -> str:
        if _plain(call) == caching.CHAT:
            return caching.CHAT
        return caching.CHUNKS if stream.translated else caching.EVENTS

    def _keep(self, call: Call, reply: Reply, key: str, ttl: int, form: str, transcript: bytes) -> caching.Entry | None:
        attempt = call.entry.attempts[-1] if call.entry.attempts else None
        if attempt is None or not _worth_keeping(call, reply, form, transcript):
            return None
        now = self._gateway.clock()
        entry = caching.Entry(
            key=key,
            team=call.grant.team,
            model=call.asked.model,
            route=call.match.route.name,
            provider=attempt.provider,
            kind=attempt.kind,
            served_model=attempt.model,
            usage=Usage(**(attempt.usage or {}), service_tier=attempt.service_tier),
            free=attempt.cost_status == "free",
            created_at=now,
            expires_at=now + ttl,
            answer=reply.body if form in {caching.CHAT, caching.BODY} else transcript,
            transcript=transcript if form == caching.CHAT else b"",
            form=form,
            ignored=reply.ignored,
            rename=call.asked.model if transcript and call.match.route.answer_as_asked else "",
        )
        self._cache.put(entry)
        return entry

    async def _hit(self, call: Call, found: caching.Entry, answer: bytes) -> Reply:
        """Give `found` again: a row of its own at no cost, with what was saved at the price in force now."""
        gateway, entry = self._gateway, call.entry
        entry.cached, entry.provider, entry.model = True, found.provider, found.served_model
        entry.cost_status, entry.tokens_saved = "free", found.usage.tokens_in + found.usage.tokens_out
        entry.saved_nano = gateway.book.charge(
            found.provider,
            found.kind,
            found.served_model,
            found.usage,
            at=entry.at,
            free=found.free,
            service_tier=found.usage.service_tier,
        ).cost_nano
        reply = Reply(
            found.provider, f"{found.provider}/{found.served_model}", cache="HIT", tokens_saved=entry.tokens_saved
        )
        reply.ignored = found.ignored
        if not call.asked.stream:
            reply.body = answer
        elif call.dialect is None or found.form == caching.CHAT:
            events = replay.as_stream(orjson.loads(answer), usage=found.usage, wants_usage=call.wants_usage)
            reply.stream = Whole(events)
        else:
            reply.stream = Whole(await again.stream_of(found, call, call.dialect))
        settle.close(gateway, call, status="cached", http_status=200)
        gateway.counters.cache("hit")
        return reply

    def answer_of(self, entry: caching.Entry) -> bytes:
        """Return the entry's answer, assembled from its transcript if nobody has done so yet."""
        if not entry.answer:
            self._cache.assembled(entry, replay.answer_of(entry.transcript, entry.usage, rename=entry.rename))
        return entry.answer


def _plain(call: Call) -> str:
    """Return the form of a plain answer."""
    return caching.CHAT if call.dialect is None or call.dialect.name == "minimal" else caching.BODY


def _worth_keeping(call: Call, reply: Reply, form: str, transcript: bytes) -> bool:
    if form == caching.CHAT and not transcript:
        try:
            return caching.keepable(orjson.loads(reply.body))
        except orjson.JSONDecodeError:
            return False
    # A stream of chat's is judged by its bytes, since it is assembled later.
    dialect = call.dialect.name if call.dialect is not None and form in {caching.BODY, caching.EVENTS} else "chunks"
    return cacheable.may_keep(dialect, transcript or reply.body)
