"""The story of one request, in the order it happens."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import orjson

from accounts.keys import may_use
from accounts.ledger.entry import Attempt
from accounts.prices import Usage
from proxy import admission, features, forward, settle, shadow, tags, tokens, ways
from proxy import chat as chats
from proxy.attempts import Attempts
from proxy.call import STOPPING, Call, Reply
from proxy.delivery import Delivery
from proxy.dialects.base import Asked
from proxy.errors import BadRequest, CannotSay, GatewayError, ModelNotFound, Unavailable, UpstreamError
from proxy.gateway import Gateway
from proxy.outlook import Outlook
from proxy.providers import ADAPTERS
from proxy.providers.base import Outgoing
from proxy.upstream import limits_of, without_private
from proxy.ways import Way
from routing.decide import order
from routing.snapshot import Snapshot
from routing.values import Match, Target

_TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C trace context, level 1

PATIENCE = 60.0  # seconds after a call came in, after which nobody is tried again


async def serve(
    gateway: Gateway, call: Call, raw: bytes, check: Callable[[], None] = lambda: None, **url: Any
) -> Reply:
    """Read the request, find its route and take it through the stages. `url` holds what the URL says of it.

    Raises GatewayError, by then in the ledger, whatever was wrong: the body, the model, the providers.
    """
    try:
        check()
        _read(gateway, call, raw, url)
        if gateway.tag_names:
            tags.note(call, gateway.tag_names)
        reply = await (gateway.chain or partial(dispatch, gateway))(call)
        if gateway.on_disk is not None and not isinstance(reply.stream, Delivery):
            await settle.written(gateway)
        return reply
    except Unavailable as error:
        settle.let_go(gateway, call, error)
        raise
    except GatewayError as error:
        if call.entry.status == "open":
            settle.refused(gateway, call, error)
        raise
    except asyncio.CancelledError as cancelled:
        if cancelled.args == (STOPPING,):
            settle.ended(gateway, call, STOPPING, 503)
        else:
            call.entry.client_gone = True
            settle.ended(gateway, call, "client_disconnected", 499)
        raise
    except Exception:
        settle.ended(gateway, call, "internal_error", 500)
        raise


def _read(gateway: Gateway, call: Call, raw: bytes, url: Mapping[str, Any]) -> None:
    """Parse the body in the caller's dialect and find the route. Raises BadRequest or ModelNotFound."""
    snapshot = gateway.snapshot  # read once: it may be swapped at any moment
    call.entry.revision = snapshot.revision
    if call.dialect is None:
        chat = call.inner = chats.parse(raw)
        call.asked = asked = Asked(raw, chat.body, chat.model, chat.stream)
    elif call.passing is not None:
        call.asked = asked = call.passing.parse(raw)
        if not call.passing.counts:
            call.entry.prompt_bytes = 0
    else:
        call.asked = asked = call.dialect.parse(raw, **url)
    call.entry.stream, call.entry.model_asked = asked.stream, asked.model[:200]
    call.entry.features = features.noted(asked.body)
    call.match = match = _match(call, snapshot)
    call.entry.route = match.route.name


def _match(call: Call, snapshot: Snapshot) -> Match:
    """Return where the call may go."""
    model, passing = call.asked.model, call.passing
    if passing is not None:
        call.entry.model_asked = (model or f"{passing.method} {passing.path}")[:200]
        return passing.match(call.grant, snapshot, model)
    match = snapshot.find(model, call.grant.team)
    if match is None or not may_use(call.grant, model):
        raise ModelNotFound(model)
    return match


async def dispatch(gateway: Gateway, call: Call) -> Reply:
    """Call the targets until one answers."""
    targets = _ordered(gateway, call)
    if call.asked.operation == "count_tokens" and not any(ways.is_native(call, target) for target in targets):
        return await _count_here(gateway, call)
    if call.grant.priced_only:
        targets = settle.with_price(gateway, call, targets)
    if not targets:
        raise UpstreamError("No target of this route takes this request.", status=503, code="no_target", retry_after=5)
    if gateway.purse.table is not None:
        targets = await admission.reserve(gateway, call, targets)
    if call.match.shadows:
        shadow.cast(gateway, call, partial(dispatch, gateway))
    retries, deadline = call.match.route.retries, call.started + PATIENCE
    attempts = Attempts(gateway.health, gateway.clock, gateway.draw, retries, deadline, probes=gateway.probes)
    ask = call.ask or _attempt
    return await attempts.first_success(targets, lambda target: ask(gateway, call, target))


def _ordered(gateway: Gateway, call: Call) -> list[Target]:
    """Return the targets to try, best first."""
    match = call.match
    request = None if match.plain else features.of(call)
    return order(match, request, Outlook(gateway.health, gateway.book, gateway.clock()), gateway.draw)


async def _count_here(gateway: Gateway, call: Call) -> Reply:
    """Count a prompt's tokens where no target's own endpoint does: an estimate, at no cost."""
    counted = await tokens.estimate_later(call.countable, call.asked.model, [], call.entry.prompt_bytes)
    ours = Attempt(1, "qlite/estimate", "qlite", "stub", call.asked.model[:200], gateway.clock(), "settled", 200)
    ours.cost_status = "free"
    call.entry.attempts.append(ours)
    settle.close(gateway, call, status="settled", http_status=200)
    told = call.dialect.counted(counted.input) if call.dialect is not None else {}
    return Reply("qlite", "qlite/estimate", body=orjson.dumps(told), usage_source="estimated")


async def _attempt(gateway: Gateway, call: Call, target: Target) -> Reply:
    way = ways.choose(call, target)
    out = _outgoing(gateway, call, target, way)
    attempt = await settle.opened(gateway, call, target)
    try:
        response = await gateway.upstream.open(target, out, ADAPTERS[target.provider.kind])
        tried = [each.target for each in call.entry.attempts]
        reply = Reply(target.provider.name, target.name, attempts=tried, ignored=out.ignored)
        reply.limits = limits_of(response)
        if call.asked.stream:
            await _begin_stream(gateway, call, attempt, target, way, response, reply)
        else:
            await _read_answer(gateway, call, attempt, target, way, response, reply)
    except UpstreamError as error:
        error.param = ways.callers_param(call, way, error.param)
        blamed = forward.blamed(without_private(error, target.provider), call, target.provider)
        settle.attempt_failed(gateway, call, attempt, target, blamed)
        raise
    return reply


def _outgoing(gateway: Gateway, call: Call, target: Target, way: Way) -> Outgoing:
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
    gateway: Gateway, call: Call, attempt: Attempt, target: Target, way: Way, response: Any, reply: Reply
) -> None:
    wait = gateway.upstream.timeouts(target)
    stream = way.stream(call, target, response.stream, call.began + wait.total)
    try:
        await stream.begin()
    except asyncio.CancelledError:
        call.so_far = stream.so_far
        raise
    response.stream.wait_at_most(wait.idle)
    call.entry.first_token_us = int((time.monotonic() - call.started) * 1_000_000)
    settle.took(gateway, call, target, settle.passed(call) / 1_000_000)
    delivery = Delivery(gateway, call, attempt, target, stream)
    delivery.reply, reply.stream = reply, delivery


async def _read_answer(
    gateway: Gateway, call: Call, attempt: Attempt, target: Target, way: Way, response: Any, reply: Reply
) -> None:
    raw = await gateway.upstream.read(response, target, call.began)
    read = way.read(call, target, raw)
    reply.usage, reply.usage_source = read.usage, "provider"
    if call.free:
        reply.usage, reply.usage_source = None, "none"
    elif reply.usage is None:
        reply.usage, reply.usage_source = await _estimate(gateway, call, attempt, read.parsed), "estimated"
    settle.answered(gateway, call, attempt, target, reply.usage, reply.usage_source)
    reply.body, reply.cost_nano = read.body, settle.cost_of(call)
    if read.with_usage is not None and reply.usage is not None:
        reply.body = read.with_usage(reply.usage)


async def _estimate(gateway: Gateway, call: Call, attempt: Attempt, parsed: dict[str, Any]) -> Usage:
    event = [b"data: " + orjson.dumps(parsed) + b"\n\n"]
    return await tokens.estimate_later(call.countable, attempt.model, event, call.entry.prompt_bytes)
