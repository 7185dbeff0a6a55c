"""The pages that need no key: what this is, how its providers are, whether it is ready, and its metrics."""

import asyncio
import hmac
import time
from typing import Any

from django.conf import settings

from proxy.errors import NotAllowed, NotFound, Unavailable
from proxy.gateway import Gateway
from proxy.surfaces.answers import Answer, as_json, marked
from proxy.surfaces.gateway import current, only
from proxy.surfaces.request import GatewayRequest
from proxy.surfaces.shape import GEMINI

LOOPBACK = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1"})
STALE_SECONDS = 30.0  # without a look at the database; serving goes on, /health says so
TEXT = [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")]


async def root(request: GatewayRequest) -> Answer:
    only(request, "GET", "HEAD")
    return as_json(request, {"name": "qlite", "object": "gateway", "version": settings.VERSION})


async def health(request: GatewayRequest) -> Answer:
    """Every provider's state from live traffic. Nobody is called to find out."""
    only(request, "GET", "HEAD")
    gateway = current()
    seen = gateway.health.providers(gateway.clock())
    providers = {
        name: seen.get(name, {"state": "unknown"}) | {"kind": provider.kind, "enabled": provider.enabled}
        for name, provider in gateway.snapshot.providers.items()
    }
    failing = any(entry["state"] == "failing" for entry in providers.values())
    age = time.monotonic() - gateway.tables_read_at
    body = {
        "status": "degraded" if failing or age > STALE_SECONDS or gateway.journal.full else "ok",
        "providers": providers,
        "revision": gateway.snapshot.revision,
        "database": "ok" if age <= STALE_SECONDS else "away",
        "journal": {"waiting": gateway.journal.backlog(), "full": gateway.journal.full},
    }
    return as_json(request, body)


async def alive(request: GatewayRequest) -> Answer:
    only(request, "GET", "HEAD")
    return as_json(request, {"status": "ok", **settings.BUILD})


async def ready(request: GatewayRequest) -> Answer:
    """503 while starting, while draining, and when the journal is full; a database that is away alone is no reason."""
    only(request, "GET", "HEAD")
    gateway = current()
    reason = _not_ready(gateway)
    if reason:
        raise Unavailable(reason, code="not_ready")
    return as_json(request, {"status": "ready"})


def _not_ready(gateway: Gateway) -> str:
    if not gateway.tables_read_at:
        return "The tables have not been read yet."
    if gateway.draining():
        return "The gateway is shutting down."
    return "The journal is full." if gateway.journal.full else ""


async def metrics(request: GatewayRequest) -> Answer:
    only(request, "GET", "HEAD")
    if not _may_see_metrics(request):
        raise NotAllowed("Metrics are for the local machine, or for the bearer of QLITE_METRICS_TOKEN.")
    counters = current().counters
    return Answer(200, marked(request, TEXT), await asyncio.to_thread(counters.render))


def _may_see_metrics(request: GatewayRequest) -> bool:
    if settings.METRICS_OPEN:
        return True
    given = request.header(b"authorization").removeprefix("Bearer ").strip()
    if settings.METRICS_TOKEN:
        return hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode())
    client: Any = request.scope.get("client") or ("",)
    return client[0] in LOOPBACK


async def nothing_here(request: GatewayRequest, path: str = "") -> Answer:
    """Any other URL of the gateway's: a JSON error in the words of the API that stands there."""
    if b"x-goog-api-key" in request.raw_headers:
        request.dialect = GEMINI
    raise NotFound("There is nothing at this address.")
