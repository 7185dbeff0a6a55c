"""Everything owed around an answer: the ledger row before dispatch, cost, health, counters and the log after it.

All of it is synchronous on purpose: once begun it cannot be cut short by a caller who hangs up. A row is opened
in the journal before a provider is called, and settled before the last byte leaves (DESIGN 2.1).
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

from accounts.ledger import pricing
from accounts.ledger.entry import Attempt, totals
from accounts.ledger.journal import JournalUnavailable
from accounts.prices import Usage, tier_said
from proxy import tokens
from proxy.call import STOPPING, Call
from proxy.errors import GatewayError, ModelUnpriced, Unavailable, UpstreamError
from proxy.gateway import Gateway
from routing.rules import FASTEST
from routing.values import Target

HARMLESS = frozenset({"GET", "HEAD", "DELETE"})  # methods that only look or tidy up, and cost nothing
BUSY = frozenset({429, 503, 529})  # statuses whose Retry-After says how long a target wants to be left alone
# What a stream can end with through no fault of the target's: ours, or the caller's.
NOT_TROUBLE = frozenset(
    (
        *(STOPPING, "internal_error", "ledger_unavailable", "client_disconnected"),
        *("upstream_refused", "request_too_large", "context_length_exceeded", "content_filter"),
    )
)
AGAIN_SECONDS = 0.5  # between two tries to settle what the journal could not take
LEDGER_DOWN = "The request cannot be recorded right now, so it was not sent."


async def opened(gateway: Gateway, call: Call, target: Target) -> Attempt:
    """The same as `open_attempt`, and on the disk too where that is asked for."""
    attempt = open_attempt(gateway, call, target)
    if gateway.on_disk is not None:
        try:
            await written(gateway)
        except BaseException:  # also a caller who leaves: nothing was sent
            attempt.status, attempt.error = "failed", "ledger_unavailable"
            raise
    return attempt


async def written(gateway: Gateway) -> None:
    """Wait until what was written down is on the disk, where that is asked for. Raises Unavailable."""
    if gateway.on_disk is not None:
        try:
            await gateway.on_disk()
        except JournalUnavailable as error:
            raise Unavailable(LEDGER_DOWN) from error


def open_attempt(gateway: Gateway, call: Call, target: Target) -> Attempt:
    """Write down that `target` is about to be called. Raises Unavailable, and then it must not be called."""
    entry = call.entry
    attempt = Attempt(
        number=len(entry.attempts) + 1,
        target=target.name,
        provider=target.provider.name,
        kind=target.provider.kind,
        model=target.model or call.chat.model,
        status="open",
        # Recovery after a crash prices an open attempt by this, see accounts.ledger.recover.
        cost_status="free" if call.free or _is_free(target) else "none",
        started_at=gateway.clock(),
        service_tier=tier_asked(call),
    )
    if call.passing is not None and call.passing.operation.per_request:
        attempt.usage, attempt.usage_source = call.passing.least.as_dict(), "estimated"  # whatever becomes of it
    call.began = time.monotonic()
    entry.attempts.append(attempt)
    try:
        (gateway.journal.open if attempt.number == 1 else gateway.journal.update)(entry)
    except JournalUnavailable as error:
        entry.attempts.pop()
        raise Unavailable(LEDGER_DOWN) from error
    return attempt


def attempt_failed(gateway: Gateway, call: Call, attempt: Attempt, target: Target, error: UpstreamError) -> None:
    """Close an attempt that brought no answer. If the provider may bill it, it counts with an estimate."""
    attempt.status = "failed"
    attempt.http_status = error.upstream_status
    attempt.error = error.code or "upstream_error"
    attempt.latency_us = passed(call)
    if error.billable:
        sent = -(-call.entry.prompt_bytes // tokens.BYTES_PER_TOKEN)
        least = Usage(input=sent)
        if attempt.usage and call.passing is not None:
            least = call.passing.least
        source = error.usage_source if error.usage else "estimated"
        price_attempt(gateway, attempt, error.usage or least, source)
        attempt.status = "interrupted"
    else:
        attempt.usage, attempt.usage_source = None, "none"
    if error.try_next or error.status >= 500:
        wait = error.retry_after if error.upstream_status in BUSY else None
        gateway.health.failed(target.name, attempt.error, gateway.clock(), wait=wait)
    gateway.counters.upstream_failed(attempt.provider, attempt.error)


def price_attempt(gateway: Gateway, attempt: Attempt, usage: Usage | None, source: str) -> None:
    """Put usage and cost on the attempt: the price in force when it began, nothing where it was opened as free."""
    attempt.usage_source, attempt.usage = source, None
    if usage is not None:
        pricing.put(gateway.book, attempt, usage)


def answered(
    gateway: Gateway,
    call: Call,
    attempt: Attempt,
    target: Target,
    usage: Usage | None,
    source: str,
    *,
    status: str = "settled",
    error: str = "",
    client_gone: bool = False,
    http_status: int = 200,
) -> None:
    """Settle a call that has been answered, wholly (`settled`) or in part (`interrupted`), once.

    Raises Unavailable if the journal cannot be written: then the last byte is kept back.
    """
    if call.entry.status != "open":
        return  # its caller left while its end was being settled
    attempt.status, attempt.error = status, error
    attempt.http_status = attempt.http_status or http_status
    attempt.latency_us = passed(call)
    price_attempt(gateway, attempt, usage, source)
    if not error:
        gateway.health.succeeded(target.name, gateway.clock(), began=attempt.started_at)
        if not call.entry.stream:
            took(gateway, call, target, attempt.latency_us / 1_000_000)
    elif not client_gone and error not in NOT_TROUBLE:
        gateway.health.failed(target.name, error, gateway.clock())
    close(gateway, call, status=status, http_status=http_status, error=error, client_gone=client_gone)


def passed(call: Call) -> int:
    """Return the microseconds since the latest attempt of a call began."""
    return _micros(time.monotonic() - call.began)


def took(gateway: Gateway, call: Call, target: Target, seconds: float) -> None:
    """Note how long a target took, where its route wants to know who is fastest."""
    if call.match.route.strategy == FASTEST:
        gateway.health.took(target.name, seconds, stream=call.entry.stream)


def refused(gateway: Gateway, call: Call, error: GatewayError) -> None:
    """Settle a call that brought an error: one row, with the attempts made and what they may have cost."""
    billed = any(attempt.status == "interrupted" for attempt in call.entry.attempts)
    status = "interrupted" if billed else "failed"
    close(gateway, call, status=status, http_status=error.status, error=error.code or "upstream_refused")


def close(
    gateway: Gateway, call: Call, *, status: str, http_status: int, error: str = "", client_gone: bool = False
) -> None:
    """Sum up the attempts, write the settled row, count it and log it.

    Raises Unavailable, with nothing counted: then what was opened is settled as soon as the journal takes it.
    """
    entry = call.entry
    entry.status, entry.http_status, entry.error = status, http_status, error
    entry.client_gone = entry.client_gone or client_gone
    entry.latency_us = _micros(time.monotonic() - call.started)
    if not entry.cached:
        totals(entry)
    try:
        gateway.journal.settle(entry)
    except JournalUnavailable as cause:
        if entry.attempts:
            gateway.spawn(_close_later(gateway, call))
        raise Unavailable(LEDGER_DOWN) from cause
    _closed(gateway, call)


async def _close_later(gateway: Gateway, call: Call) -> None:
    """Settle a call that was opened, and whose caller was told that it cannot be recorded, once it can."""
    entry = call.entry
    if entry.status == "settled":
        entry.status, entry.http_status, entry.error = "interrupted", 503, "ledger_unavailable"
    while True:
        await asyncio.sleep(AGAIN_SECONDS)
        with suppress(JournalUnavailable):
            gateway.journal.settle(entry)
            break
    _closed(gateway, call)


def _closed(gateway: Gateway, call: Call) -> None:
    if call.reservation is not None:
        gateway.purse.settle(call.reservation, call.entry.cost_nano + sum(call.entry.holds.values()))
    gateway.counters.settled(call.entry)
    gateway.requests.write(call.entry)


def let_go(gateway: Gateway, call: Call, error: Unavailable) -> None:
    """Part with a call that cannot be written down. One that was not sent at all leaves nothing behind."""
    if not call.entry.attempts:
        if call.reservation is not None:
            gateway.purse.void(call.reservation)
    elif call.entry.status == "open":
        with suppress(Unavailable):  # it is settled later
            refused(gateway, call, error)


def ended(gateway: Gateway, call: Call, code: str, http_status: int) -> None:
    """The call ended before there was an answer, through no provider's fault: what was sent may be billed."""
    attempts = call.entry.attempts
    if call.entry.status != "open":
        return
    if attempts and attempts[-1].status == "open":
        target = next(t for t in call.match.targets if t.name == attempts[-1].target)
        error = UpstreamError(f"Ended by {code}.", status=499, code=code, billable=True)
        error.try_next = False  # the provider is not to blame
        error.usage, error.usage_source = call.so_far, "estimated"
        attempt_failed(gateway, call, attempts[-1], target, error)
    billed = any(attempt.status == "interrupted" for attempt in attempts)
    close(gateway, call, status="interrupted" if billed else "failed", http_status=http_status, error=code)


def with_price(gateway: Gateway, call: Call, targets: Sequence[Target]) -> list[Target]:
    """Return the targets whose price is known, for those who may not use others. Raises ModelUnpriced without any."""
    passing = call.passing
    if call.free or (passing is not None and passing.method in HARMLESS):
        return list(targets)
    now, book, asked = gateway.clock(), gateway.book, call.asked.model
    priced = [
        each
        for each in targets
        if book.has(each.provider.name, each.provider.kind, each.model or asked, at=now, free=_is_free(each))
    ]
    if targets and not priced:
        raise ModelUnpriced(asked or call.entry.model_asked)
    return priced


def cost_of(call: Call) -> int | None:
    """Return what the whole request cost in nano-USD, None where a price is missing."""
    return None if call.entry.cost_status == "unpriced" else call.entry.cost_nano


def tier_asked(call: Call) -> str:
    """Return the service tier that the request names, in the words of OpenAI, Gemini or Anthropic."""
    asked = call.asked.body
    if asked.get("speed") == "fast":
        return "fast"
    return tier_said(asked.get("service_tier") or asked.get("serviceTier"))


def _is_free(target: Target) -> bool:
    return target.provider.free or target.provider.kind == "stub"


def _micros(seconds: float) -> int:
    return max(0, int(seconds * 1_000_000))
