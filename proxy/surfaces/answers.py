"""What the views answer: bodies and streams with the gateway's headers, and errors in OpenAI's shape."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpResponse

from accounts.money import usd
from proxy.call import Chunks, Reply
from proxy.delivery import cost_text
from proxy.errors import GatewayError, Over, OverBudget, Unavailable
from proxy.settle import cost_of
from proxy.surfaces.request import GatewayRequest
from proxy.surfaces.shape import error_body

Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
EVENTS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
NO_SNIFF = (b"x-content-type-options", b"nosniff")
EXPOSED = (
    b"x-qlite-id, x-request-id, x-provider, x-cache, x-request-cost, x-tokens-saved, x-error-origin, x-qlite-target,"
    b" x-qlite-attempts, x-qlite-ignored, retry-after, x-ratelimit-limit-requests, x-ratelimit-limit-tokens,"
    b" x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, x-ratelimit-reset-requests,"
    b" x-ratelimit-reset-tokens, x-budget-scope, x-budget-window, x-budget-limit, x-budget-needed, x-budget-left,"
    b" x-budget-reset"
)
LONGEST = 512  # characters of a header of ours
_UNSAFE = re.compile(r"[^\x20-\x7e]")


class Answer(HttpResponse):
    """A response made of ready header pairs (lower-case names) and bytes, or a stream of them.

    Django's own header handling is skipped: the gateway's handler sends `pairs` as they are. Into a stream of `events`
    it may put comments.
    """

    def __init__(
        self, status: int, pairs: Headers, body: bytes = b"", chunks: Chunks | None = None, *, events: bool = True
    ) -> None:
        self.status_code = status
        self.pairs = pairs
        self.body = body
        self.chunks = chunks
        self.events = events


def marked(request: GatewayRequest, first: Headers) -> Headers:
    """Return `first` with what every answer carries: the ids, and the CORS headers where the origin is allowed."""
    return first + marks(request.id, request.client_id, request.raw_headers)


def marks(id: str, client_id: str, given: Mapping[bytes, bytes]) -> Headers:
    """Return the ids, and the CORS headers where the origin in the caller's headers is allowed."""
    pairs = [(b"x-qlite-id", id.encode()), (b"x-request-id", client_id.encode()), NO_SNIFF]
    if settings.CORS_ALLOW_ORIGINS and (origin := allowed_origin(given)):
        pairs += [
            (b"access-control-allow-origin", origin),
            (b"vary", b"origin"),
            (b"access-control-expose-headers", EXPOSED),
        ]
    return pairs


def allowed_origin(given: Mapping[bytes, bytes]) -> bytes | None:
    """Return the origin to allow, None where there is none or it is not in QLITE_CORS_ALLOW_ORIGINS."""
    origin = given.get(b"origin")
    if origin is None:
        return None
    if "*" in settings.CORS_ALLOW_ORIGINS:
        return b"*"
    return origin if origin.decode("latin-1") in settings.CORS_ALLOW_ORIGINS else None


def preflight(request: GatewayRequest) -> Answer | None:
    """Return the answer to a browser's preflight from an allowed origin, None for anything else."""
    if b"access-control-request-method" not in request.raw_headers or allowed_origin(request.raw_headers) is None:
        return None
    asked = request.raw_headers.get(b"access-control-request-headers", b"authorization, content-type")
    pairs = [
        (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE, OPTIONS"),
        (b"access-control-allow-headers", asked[:1024]),
        (b"access-control-max-age", b"600"),
    ]
    return Answer(204, marked(request, pairs))


def replied(request: GatewayRequest, reply: Reply) -> Answer:
    """Return the answer that brings `reply` to the caller."""
    pairs = [
        (b"x-provider", safe(reply.provider)),
        (b"x-qlite-target", safe(reply.target)),
        (b"x-cache", reply.cache.encode()),
    ]
    if len(reply.attempts) > 1:
        pairs.append((b"x-qlite-attempts", safe(", ".join(reply.attempts))))
    if ignored := reply.ignored + (request.call.unkept if request.call else ()):
        pairs.append((b"x-qlite-ignored", listed(ignored)))
    pairs += reply.limits
    if reply.cache == "HIT":
        pairs.append((b"x-tokens-saved", b"%d" % reply.tokens_saved))
    if reply.stream is not None:
        return Answer(200, marked(request, EVENTS + pairs), chunks=reply.stream)
    pairs += [JSON, (b"x-request-cost", cost_text(reply.cost_nano).encode())]
    return Answer(200, marked(request, pairs), reply.body)


def failed(request: GatewayRequest, error: GatewayError) -> Answer:
    """Return `error` in the shape of the surface called, with where it came from and when to come again."""
    pairs = [JSON, (b"x-error-origin", error.origin.encode())]
    if error.retry_after is not None:
        pairs.append((b"retry-after", b"%d" % error.retry_after))
    pairs += getattr(error, "limits", ())
    if error.status == 401:
        pairs.append((b"www-authenticate", b"Bearer"))
    if error.code == "insufficient_quota":
        pairs.append((b"x-should-retry", b"false"))
    if isinstance(error, OverBudget):
        pairs += budget_pairs(error.over, request.received_at)
    if (allow := getattr(error, "allow", None)) is not None:
        pairs.append((b"allow", allow.encode()))
    if request.call is not None and not isinstance(error, Unavailable):
        # An attempt that failed may have been billed all the same.
        pairs.append((b"x-request-cost", cost_text(cost_of(request.call)).encode()))
    if request.call is not None and request.call.entry.attempts:
        tried = [attempt.target for attempt in request.call.entry.attempts]
        pairs += [(b"x-qlite-target", safe(tried[-1])), (b"x-qlite-attempts", safe(", ".join(tried)))]
        pairs.append((b"x-provider", safe(request.call.entry.attempts[-1].provider)))
    body = error_body(error, request.path, request.client_id, request.dialect)
    return Answer(error.status, marked(request, pairs), body)


def budget_pairs(over: Over, now: float) -> Headers:
    """Which budget refused the call, what is left of it, and when it begins anew. US dollars."""
    pairs = [
        (b"x-budget-scope", over.scope.encode()),
        (b"x-budget-window", over.window.encode()),
        (b"x-budget-limit", usd(over.limit_nano).encode()),
        (b"x-budget-needed", usd(over.needed_nano).encode()),
    ]
    if over.left_nano is not None:
        pairs.append((b"x-budget-left", usd(over.left_nano).encode()))
    if over.resets_at is not None:
        pairs.append((b"x-budget-reset", over.resets_at.isoformat().encode()))
        pairs.append((b"retry-after", b"%d" % max(1, over.resets_at.timestamp() - now)))
    return pairs


def as_json(request: GatewayRequest, value: Any, status: int = 200) -> Answer:
    """Return `value` as JSON."""
    return Answer(status, marked(request, [JSON]), orjson.dumps(value))


def safe(text: str) -> bytes:
    """Return `text` fit for a header: a caller's model name may hold anything, line ends included."""
    if not (text.isascii() and text.isprintable()):
        text = _UNSAFE.sub("?", text)
    return text[:LONGEST].encode("ascii")


def listed(names: Sequence[str]) -> bytes:
    """Return `names` fit for a header. Where there are too many of them, its end says so."""
    text = ", ".join(names)
    return safe(text if len(text) <= LONGEST else f"{text[: text.rfind(', ', 0, LONGEST - 4)]}, ...")
