"""Invented traffic for looking around: the same requests for the same seed and the same end. Plain.

Everything in it is marked: teams and providers begin with `demo-`, the cost centre is DEMO, the tag `demo` is `yes`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from accounts.ledger.entry import Attempt, Entry, totals
from accounts.ledger.ids import uuid7
from accounts.ledger.pricing import Pricing
from accounts.prices import Usage

DAYS, DAY = 30, 86400.0
COST_CENTRE = "DEMO"
TAGS = {"demo": "yes"}
KINDS = {"demo-openai": "openai", "demo-groq": "groq", "demo-house": "openai-compatible"}
FREE = frozenset({"demo-house"})


@dataclass(frozen=True, slots=True)
class Served:
    """A model as callers use it: how often beside others, and about how much goes in and comes out, in tokens."""

    provider: str
    model: str
    weight: int
    tokens_in: int
    tokens_out: int
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Caller:
    """A program with a key. `a_day` is what it does on a working day at the end of the time."""

    team: str
    owner: str
    key_id: str
    label: str
    budget_usd: int
    a_day: int
    first_hour: int
    last_hour: int
    weekend: float
    stream: float
    hits: float
    models: tuple[Served, ...]


NOTEBOOKS = (
    Served("demo-openai", "gpt-5.4", 6, 3200, 900, 1400),
    Served("demo-openai", "gpt-5.4-mini", 3, 1800, 600),
    Served("demo-openai", "labs-preview", 1, 2400, 700),
)
EVALUATION = (
    Served("demo-groq", "llama-3.3-70b-versatile", 6, 1500, 350),
    Served("demo-openai", "gpt-5.4-mini", 3, 1500, 350),
    Served("demo-house", "house-7b", 2, 1500, 300),
)
CHAT = (
    Served("demo-openai", "gpt-5.4-mini", 5, 1100, 260),
    Served("demo-openai", "gpt-5.4-nano", 4, 700, 160),
    Served("demo-groq", "llama-3.3-70b-versatile", 2, 900, 240),
)
TICKETS = (Served("demo-openai", "gpt-5.4-nano", 3, 2600, 220), Served("demo-house", "house-7b", 1, 2600, 200))

CALLERS = (
    Caller("demo-research", "demo-ann", "demoNote", "notebooks", 25, 34, 8, 19, 0.1, 0.7, 0.03, NOTEBOOKS),
    Caller("demo-research", "demo-ann", "demoEval", "nightly evaluation", 5, 22, 1, 4, 1.0, 0.0, 0.02, EVALUATION),
    Caller("demo-support", "demo-ben", "demoChat", "chat widget", 10, 58, 6, 23, 0.6, 0.9, 0.18, CHAT),
    Caller("demo-support", "demo-ben", "demoTick", "ticket summaries", 2, 26, 9, 17, 0.0, 0.1, 0.06, TICKETS),
)


def traffic(until: float, price: Pricing, *, seed: int = 1, callers: Sequence[Caller] = CALLERS) -> Iterator[Entry]:
    """Yield the settled requests of the 30 days before `until` (epoch seconds)."""
    draw = Random(seed)  # noqa: S311  nothing secret comes from it
    for caller in callers:
        for day in range(DAYS):
            midnight = (until // DAY - DAYS + 1 + day) * DAY
            for at in _times(caller, midnight, day, draw):
                # Drawn in any case, so that what follows is the same at whatever hour it is made.
                entry = _request(caller, at, price, draw)
                if until - DAYS * DAY <= at < until:
                    yield entry


def _times(caller: Caller, midnight: float, day: int, draw: Random) -> list[float]:
    weekend = datetime.fromtimestamp(midnight, UTC).weekday() >= 5
    often = caller.a_day * (0.6 + 0.4 * day / DAYS) * (caller.weekend if weekend else 1.0)
    count = max(0, round(draw.gauss(often, often / 8)))
    hours = sorted(draw.triangular(caller.first_hour, caller.last_hour) for _ in range(count))
    return [midnight + hour * 3600 for hour in hours]


def _request(caller: Caller, at: float, price: Pricing, draw: Random) -> Entry:
    served = draw.choices(caller.models, [each.weight for each in caller.models])[0]
    entry = Entry(
        id=uuid7(at, draw.randbytes),
        client_request_id="",
        at=at,
        surface="chat",
        team=caller.team,
        cost_centre=COST_CENTRE,
        owner=caller.owner,
        key_id=caller.key_id,
        key_label=caller.label,
        route=served.model,
        model_asked=served.model,
        revision=0,
        stream=draw.random() < caller.stream,
        http_status=200,
        tags=dict(TAGS),
    )
    usage = _usage(served, draw)
    fate = draw.random()
    if fate < caller.hits:
        _hit(entry, served, usage, price, draw)
    else:
        _call(entry, served, usage, draw.random(), price, draw)
    return entry


def _usage(served: Served, draw: Random) -> Usage:
    tokens_in, tokens_out = (
        max(8, round(draw.gauss(mean, mean / 3))) for mean in (served.tokens_in, served.tokens_out)
    )
    repeated = draw.random() < 0.3 and served.provider == "demo-openai"
    cached = tokens_in // 2 // 128 * 128 if repeated else 0
    reasoning = max(0, round(draw.gauss(served.reasoning, served.reasoning / 3))) if served.reasoning else 0
    return Usage(input=tokens_in - cached, cached_input=cached, output=tokens_out, reasoning=reasoning)


def _hit(entry: Entry, served: Served, usage: Usage, price: Pricing, draw: Random) -> None:
    """An answer from the cache: no attempt, no cost, and what it would have cost is saved."""
    entry.status, entry.cached = "cached", True
    entry.provider, entry.model = served.provider, served.model
    saved = price(_attempt(entry, served, 1), usage)
    entry.cost_status = "none"
    entry.saved_nano, entry.tokens_saved = saved.cost_nano, usage.tokens_in + usage.tokens_out
    entry.latency_us = draw.randint(350, 900)


def _call(entry: Entry, served: Served, usage: Usage, fate: float, price: Pricing, draw: Random) -> None:
    """Most calls succeed; some at the second attempt, some are cut, some fail."""
    took = draw.randint(300_000, 900_000) + usage.tokens_out * draw.randint(6_000, 14_000)
    entry.latency_us, entry.first_token_us = took, draw.randint(180_000, 600_000) if entry.stream else None
    entry.status = "settled"
    if fate < 0.05:
        entry.attempts.append(_failed(_attempt(entry, served, 1), 429 if fate < 0.02 else 503))
    if fate < 0.012:
        entry.status, entry.http_status, entry.error = "failed", 502, "all_targets_failed"
        entry.latency_us, entry.first_token_us = entry.attempts[0].latency_us, None
        totals(entry)
        return
    last = _attempt(entry, served, len(entry.attempts) + 1)
    entry.attempts.append(last)
    if fate > 0.985:
        usage = Usage(input=usage.input, cached_input=usage.cached_input, output=usage.output // 3)
        entry.status, entry.client_gone, last.error = "interrupted", True, "client_gone"
    _settle(last, entry.status, usage, price, estimated=fate > 0.985 or 0.5 < fate < 0.52)
    last.latency_us = took
    totals(entry)


def _attempt(entry: Entry, served: Served, number: int) -> Attempt:
    return Attempt(
        number=number,
        target=f"{served.provider}/{served.model}",
        provider=served.provider,
        kind=KINDS[served.provider],
        model=served.model,
        started_at=entry.at,
        cost_status="free" if served.provider in FREE else "none",
    )


def _failed(attempt: Attempt, http_status: int) -> Attempt:
    attempt.status, attempt.http_status, attempt.cost_status = "failed", http_status, "none"
    attempt.error = "rate_limited" if http_status == 429 else "upstream_error"
    attempt.latency_us = 120_000
    return attempt


def _settle(attempt: Attempt, status: str, usage: Usage, price: Pricing, *, estimated: bool) -> None:
    charge = price(attempt, usage)
    attempt.status, attempt.http_status, attempt.usage = status, 200, usage.as_dict()
    attempt.usage_source = "estimated" if estimated else "provider"
    attempt.charged(charge)
