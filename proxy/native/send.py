"""One attempt of a call that passes: opened in the ledger, sent, and answered with the provider's own bytes."""

import time
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import orjson

from accounts.ledger.entry import Attempt
from proxy import forward, settle
from proxy.call import Call, Reply
from proxy.dialects.base import Watcher
from proxy.errors import UpstreamError
from proxy.gateway import Gateway
from proxy.native import batched, metering, results
from proxy.native.array import ArrayWatcher
from proxy.native.background import is_background
from proxy.native.delivery import FlowDelivery
from proxy.native.flow import Flow
from proxy.native.operations import NAMELESS
from proxy.native.passing import Passing
from proxy.native.usage import Gleaner
from proxy.providers import ADAPTERS
from proxy.providers.breaks import instead, is_alone
from proxy.upstream import without_private
from routing.values import Target

# Of a provider's headers only what clients act on. Its id of the request comes under another name than ours.
RELAYED = frozenset(
    (
        *(b"content-type", b"content-disposition", b"request-id", b"retry-after", b"retry-after-ms"),
        *(b"x-should-retry", b"openai-processing-ms", b"openai-version", b"server-timing"),
        *(b"x-goog-upload-status", b"x-goog-upload-chunk-granularity", b"x-goog-upload-size-received"),
    )
)
RELAYED_PREFIXES = (b"x-ratelimit-", b"anthropic-ratelimit-")
UPLOAD_URL = b"x-goog-upload-url"
UPSTREAM_ID = b"x-upstream-request-id"


@dataclass(slots=True)
class PassedReply(Reply):
    """A provider's answer as it is: with its status, and those of its headers that go on."""

    status: int = 200
    pairs: list[tuple[bytes, bytes]] = field(default_factory=list)
    error: UpstreamError | None = None


async def attempt(gateway: Gateway, call: Call, target: Target) -> Reply:
    """Send what passes to `target`. Raises UpstreamError where there is no answer to hand on."""
    passing = call.passing
    assert passing is not None  # noqa: S101  for the type checker: nobody else comes here
    out = passing.outgoing(target)
    if call.authorization:
        out = replace(out, headers=(*out.headers, *forward.header(call, target.provider)))
    opened = await settle.opened(gateway, call, target)
    try:
        response = await gateway.upstream.pass_on(target, passing.method, out)
        if response.status_code >= 300:
            return await _refused(gateway, call, passing, opened, target, response)
        return await _answered(gateway, call, passing, opened, target, response)
    except UpstreamError as error:
        if target.model == NAMELESS and error.status == 404:
            error.try_next = False
        blamed = forward.blamed(without_private(error, target.provider), call, target.provider)
        settle.attempt_failed(gateway, call, opened, target, blamed)
        raise


async def _refused(
    gateway: Gateway, call: Call, passing: Passing, opened: Attempt, target: Target, response: httpx.Response
) -> Reply:
    """Hand on an error of the provider's as it is, unless it is our trouble: credential, redirect, a route's target."""
    status, provider = response.status_code, target.provider
    raw = await gateway.upstream.read(response, target, call.began)
    error = ADAPTERS[provider.kind].error(status, response.headers, raw, target)
    ours = status < 400 or status in {401, 403} or error.code in {"upstream_auth_error", "insufficient_quota"}
    if ours or not passing.own_api:
        raise error
    error.try_next = status >= 500 or status == 429
    settle.attempt_failed(gateway, call, opened, target, error)
    settle.close(gateway, call, status="failed", http_status=status, error=error.code or "upstream_refused")
    reply = _reply(call, target, response)
    secret = (provider.secret or "").encode()
    reply.body = raw.replace(secret, b"***") if secret else raw
    reply.error = error
    return reply


async def _answered(
    gateway: Gateway, call: Call, passing: Passing, opened: Attempt, target: Target, response: httpx.Response
) -> Reply:
    headers, operation = response.headers, passing.operation
    if headers.get("content-encoding", "identity") != "identity":
        response.stream.close()  # type: ignore[union-attr]
        message = f"{target.provider.name} compressed its answer, which nobody asked for."
        raise UpstreamError(message, code="upstream_invalid_response", billable=True)
    reply = _reply(call, target, response)
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "text/event-stream" and not (operation.stream and kind.endswith("json")) and _is_text(kind, headers):
        raw = await gateway.upstream.read(response, target, call.began)
        body = _loaded(raw)
        if is_alone(body) and not passing.own_api:
            raise instead(ADAPTERS[target.provider.kind].fault(body))
        if passing.own_api and (passing.method == "GET" or is_background(body)):
            results.bill(gateway, call, target.provider, passing.path, raw, body)
            raw = results.relative(target.provider, raw, body)
        elif call.reservation is not None and batched.requests(call) is not None:
            results.hold(call, target.provider, body)
        usage, source = await metering.of_answer(call, opened, operation, raw, body)
        settle.answered(gateway, call, opened, target, usage, source, http_status=response.status_code)
        reply.usage, reply.usage_source, reply.body = usage, source, raw
        reply.cost_nano = settle.cost_of(call)
        return reply
    call.entry.stream = True  # also bytes that are no events stop when the caller leaves
    flow = _flow(gateway, call, passing, target, response, kind)
    await flow.begin()
    response.stream.wait_at_most(gateway.upstream.timeouts(target).idle)  # type: ignore[union-attr]
    call.entry.first_token_us = int((time.monotonic() - call.started) * 1_000_000)
    delivery = FlowDelivery(gateway, call, opened, target, flow)
    delivery.reply, reply.stream = reply, delivery
    return reply


def _flow(gateway: Gateway, call: Call, passing: Passing, target: Target, response: httpx.Response, kind: str) -> Flow:
    operation = passing.operation
    events = kind == "text/event-stream"
    watcher: Watcher | None = ArrayWatcher() if operation.stream and kind.endswith("json") else None
    if events:
        watcher = operation.dialect.watcher() if operation.dialect is not None else Gleaner()
    lines = results.lines(gateway, call, target.provider, passing.path) if passing.method == "GET" else None
    return Flow(
        response.stream,  # type: ignore[arg-type]
        lines or watcher,
        lambda error: passing.shape.event(error, call.asked, operation.name),
        events=events and lines is None,
        owed=lines is not None,
        deadline=call.began + gateway.upstream.timeouts(target).total,
        status=response.status_code,
    )


def _is_text(kind: str, headers: httpx.Headers) -> bool:
    """Whether an answer is read whole: JSON and small texts are, what may be a long file goes on as it comes."""
    return kind.endswith("json") or not kind or headers.get("content-length") == "0" or kind == "text/plain"


def _reply(call: Call, target: Target, response: httpx.Response) -> PassedReply:
    tried = [each.target for each in call.entry.attempts]
    reply = PassedReply(target.provider.name, target.name, attempts=tried, status=response.status_code)
    for name, value in response.headers.raw:
        name = name.lower()
        if name == b"x-request-id":
            name = UPSTREAM_ID
        elif name == UPLOAD_URL and call.passing is not None and call.passing.moved is not None:
            value = call.passing.moved(value.decode("latin-1")).encode("latin-1")
        elif name not in RELAYED and not name.startswith(RELAYED_PREFIXES):
            continue
        if value and value.isascii() and value.decode("ascii").isprintable():
            reply.pairs.append((name, value))
    return reply


def _loaded(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
