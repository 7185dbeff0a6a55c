"""Compares those who left with what the provider sent them and with what the ledger says they used. No I/O."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtest.torture.leavers import PLAIN, SHORT, Left

INPUT_NANO, OUTPUT_NANO = 150, 600  # a token, see PRICE of loadtest.bench.rig
# What the provider reports of a whole answer.
PROMPT_TOKENS, SHORT_WORDS, PLAIN_WORDS = 12, 8, 3
CLOSED_WITHIN = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Sent:
    """One request at the provider: words it sent, whether it was left, and when it was over (monotonic seconds)."""

    words: int
    left: bool
    over_at: float


@dataclass(slots=True)
class Leaving:
    """Counts for the table, and every violation as a sentence."""

    violations: list[str] = field(default_factory=list)
    by_status: Counter[str] = field(default_factory=Counter)
    recorded: int = 0
    reached: int = 0
    closed: int = 0
    slowest: float = 0.0  # seconds from leaving to the provider's being closed
    words_read: int = 0
    words_billed: int = 0
    words_sent: int = 0


def judge_leaving(left: Iterable[Left], sent: Mapping[str, list[Sent]], rows: Iterable[Mapping[str, Any]]) -> Leaving:
    """`sent` is by nonce; `rows` are the ledger's export."""
    found = Leaving()
    by_nonce: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_nonce.setdefault(row["client_request_id"], []).append(row)
    for each in left:
        hits, records = sent.get(each.nonce, []), by_nonce.pop(each.nonce, [])
        if len(records) > 1 or (hits and not records) or (each.whole and not records):
            found.violations.append(f"{each.nonce}: {len(hits)} hits, {len(records)} records")
        elif records:
            _compare(each, hits, records[0], found)
    found.violations += [f"{nonce}: a record, and nobody asked" for nonce in by_nonce]
    return found


def _compare(left: Left, hits: list[Sent], row: Mapping[str, Any], found: Leaving) -> None:
    found.recorded += 1
    found.reached += len(hits)
    found.by_status[row["status"]] += 1
    input, output = row["tokens"].get("input", 0), row["tokens"].get("output", 0)
    words = sum(hit.words for hit in hits)
    found.words_read, found.words_billed = found.words_read + left.words, found.words_billed + output
    found.words_sent += words
    say = found.violations.append
    if len(row["attempts"]) < len(hits) or row["status"] == "open":
        say(f"{left.nonce}: {len(hits)} hits, {len(row['attempts'])} attempts, {row['status']}")
    if row["cost_nano"] != input * INPUT_NANO + output * OUTPUT_NANO:
        say(f"{left.nonce}: {input} and {output} tokens at {row['cost_nano']} nano-dollars")
    if hits and not (input and left.words <= output <= words):
        say(f"{left.nonce}: read {left.words} words, billed {output} of them, the provider sent {words}")
    whole = {PLAIN: PLAIN_WORDS, SHORT: SHORT_WORDS}.get(left.model)
    if row["status"] == "settled" and (input, output) != (PROMPT_TOKENS, whole):
        say(f"{left.nonce}: a whole answer of {left.model} at {input} and {output} tokens")
    if left.stream:
        _closed(left, hits, found)


def _closed(left: Left, hits: list[Sent], found: Leaving) -> None:
    """A stream is over at the provider soon after its caller has left."""
    for hit in hits:
        found.closed += hit.left
        found.slowest = max(found.slowest, hit.over_at - left.at)
        if hit.over_at - left.at > CLOSED_WITHIN:
            found.violations.append(f"{left.nonce}: the provider went on for {hit.over_at - left.at:.2f} s")
