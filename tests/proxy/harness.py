"""A gateway on real sockets, without the database: routes and prices are given, rows are read from the journal."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from accounts.keys import Grant
from accounts.ledger.entry import Entry, from_json, to_json
from accounts.ledger.ids import made_at, uuid7
from accounts.ledger.journal import Journal
from accounts.prices import Book, Price
from accounts.store import rows as rows_of_the_ledger
from proxy import serving
from proxy.cache import Cache
from proxy.call import Reply
from proxy.counters import Counters
from proxy.gateway import Gateway
from proxy.pipeline import ExactCache, Stage, chained
from proxy.requestlog import RequestLog
from proxy.upstream import Timeouts, Upstream
from routing.health import Health
from routing.snapshot import build
from routing.values import Provider, Route, Target
from tests.invariants import broken

GRANT = Grant(key_id="abcd1234", label="test key", team="red", cost_centre="CC1", owner="ann")
# 1 USD per million input tokens, 2 for output: 1000 and 2000 nano-USD a token.
PRICE = Price(1, "", "", "*", 0.0, {"input": 1_000_000_000, "output": 2_000_000_000})
ASK = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
TIMEOUTS = Timeouts(connect=2.0, first_byte=2.0, idle=2.0, total=10.0)


def provider(url: str, name: str = "mock", **fields: Any) -> Provider:
    return Provider(
        name=name, kind="openai-compatible", base_url=url, secret="sk-upstream-canary", allow_private=True, **fields
    )


def route(name: str, *targets: tuple[Provider, str], **fields: Any) -> Route:
    """A route whose targets are tried in the order given."""
    return Route(name, tuple(Target(name, each, model, tier) for tier, (each, model) in enumerate(targets)), **fields)


class Bench:
    """What a test holds: the gateway, a way to call it, and the rows it wrote."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def receive(self, **options: Any) -> Any:
        grant = options.pop("grant", GRANT)
        call = self.gateway.receive(
            grant,
            surface="chat",
            request_id=uuid7(self.gateway.clock()),
            client_request_id="client",
            size=options.pop("size", 100),
        )
        for name, value in options.items():
            setattr(call, name, value)
        return call

    async def ask(self, body: dict[str, Any] | bytes, **options: Any) -> Reply:
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        return await serving.serve(self.gateway, self.receive(size=len(raw), **options), raw)

    async def stream(self, body: dict[str, Any], **options: Any) -> bytes:
        reply = await self.ask(body | {"stream": True}, **options)
        return await read(reply)

    async def rows(self) -> list[Entry]:
        """Every settled row, oldest first, once the work behind the answers is done."""
        for task in list(self.gateway.tasks):
            await task
        return [from_json(raw) for _, raw in self.gateway.journal.ready(10_000)]

    async def row(self) -> Entry:
        rows = await self.rows()
        assert len(rows) == 1, rows
        return rows[0]


async def read(reply: Reply) -> bytes:
    """Read a reply's stream to its end, as the handler does."""
    assert reply.stream is not None
    parts = []
    while part := await reply.stream.next():
        parts.append(part)
        if reply.stream.over:
            break
    reply.stream.close()
    return b"".join(parts)


@asynccontextmanager
async def bench(
    folder: Path,
    routes: Sequence[Route],
    *,
    timeouts: Timeouts = TIMEOUTS,
    ttl: int = 0,
    stages: Sequence[Stage] = (),
    prices: Sequence[Price] = (PRICE,),
    **limits: Any,
) -> AsyncIterator[Bench]:
    """A gateway that serves `routes`; the cache is on with a `ttl`."""
    providers = {target.provider.name: target.provider for each in routes for target in each.targets}
    gateway = Gateway(
        snapshot=build(7, routes, providers.values()),
        keys={},
        book=Book(prices),
        journal=Journal(folder, cap_bytes=64 * 1024 * 1024),
        cache=Cache(1024 * 1024, ttl),
        upstream=Upstream(timeouts, max_response_bytes=limits.get("max_response_bytes", 1024 * 1024)),
        health=Health(),
        counters=Counters(),
        requests=RequestLog(),
        draw=lambda: 0.0,
    )
    gateway.chain = chained([ExactCache(gateway), *stages], partial(serving.dispatch, gateway))
    try:
        made = Bench(gateway)
        yield made
        rows = await made.rows()
        faults = broken(map(asdict, rows))
        for row in rows:  # what the ledger does not take lands in its quarantine, and in no total
            body = rows_of_the_ledger.read(to_json(row)) | {"at": made_at(row.id)}  # tests set the gateway's clock
            rows_of_the_ledger.request_row(body, str)
            for each in body["attempts"]:
                rows_of_the_ledger.attempt_row(row.id, each, str)
        assert not faults, faults
    finally:
        await gateway.upstream.aclose()
        gateway.journal.close()
        for left in folder.glob("*.journal"):  # megabytes each, and a module may open hundreds in one folder
            left.unlink()


def other(grant: Grant = GRANT, **fields: Any) -> Grant:
    return replace(grant, **fields)
