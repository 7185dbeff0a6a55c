"""Compares three accounts of the same calls: the callers', the provider's and the ledger's. No I/O."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtest.torture.crowd import Told

Row = Mapping[str, Any]
NAMED = 20


@dataclass(slots=True)
class Judgement:
    """Counts for the table, and every violation of the promises as a sentence."""

    violations: list[str] = field(default_factory=list)
    by_status: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    attempts: int = 0
    hits: int = 0
    unheard: int = 0  # attempts that no hit answers to: written down, and killed before the provider heard of it
    told_nano: int = 0
    recorded_nano: int = 0


def judge(told: Iterable[Told], hits: Iterable[str], rows: Iterable[Row]) -> Judgement:
    """`hits` are the nonces of all requests that the provider received, `rows` the ledger's export."""
    judgement = Judgement()
    by_id, by_nonce = _indexed(rows, judgement)
    for each in told:
        judgement.violations += _answer(each, by_id, by_nonce, judgement)
    heard = Counter(hits)
    judgement.hits = heard.total()
    for nonce, count in heard.items():
        attempts = sum(len(row["attempts"]) for row in by_nonce.get(nonce, ()))
        if attempts < count:
            judgement.violations.append(f"{nonce}: {count} hits, but {attempts} attempts in the ledger")
    for nonce, found in by_nonce.items():
        judgement.unheard += max(0, sum(_reached(row) for row in found) - heard[nonce])
    return judgement


def _indexed(rows: Iterable[Row], judgement: Judgement) -> tuple[dict[str, Row], dict[str, list[Row]]]:
    by_id: dict[str, Row] = {}
    by_nonce: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["id"] in by_id:
            judgement.violations.append(f"record {row['id']} is there twice")
        by_id[row["id"]] = row
        by_nonce[row["client_request_id"]].append(row)
        judgement.rows += 1
        judgement.attempts += len(row["attempts"])
        judgement.by_status[row["status"]] += 1
        judgement.violations += _unsound(row)
    for nonce, found in by_nonce.items():
        if len(found) > 1:
            judgement.violations.append(f"{nonce}: one question, {len(found)} records")
    return by_id, by_nonce


def _unsound(row: Row) -> Iterator[str]:
    """What no record may be like once all is at rest."""
    states = [attempt["status"] for attempt in row["attempts"]]
    if row["status"] == "open" or "open" in states:
        yield f"record {row['id']} is still open"
    if row["cost_nano"] != sum(attempt["cost_nano"] for attempt in row["attempts"]):
        yield f"record {row['id']} does not cost what its attempts cost"
    for attempt in row["attempts"]:
        if attempt["status"] in {"settled", "interrupted"} and attempt["usage_source"] == "none":
            yield f"record {row['id']}: an attempt that may be billed has no usage"


def _answer(told: Told, by_id: Mapping[str, Row], by_nonce: Mapping[str, list[Row]], sums: Judgement) -> Iterator[str]:
    found = [by_id[told.id]] if told.id in by_id else [] if told.id else by_nonce.get(told.nonce, [])
    if len(found) != 1:
        yield f"{told.nonce}: a whole answer ({told.status}), but {len(found)} records of it"
        return
    [row] = found
    if row["client_request_id"] != told.nonce:
        yield f"{told.nonce}: its record {row['id']} is of {row['client_request_id']}"
    if told.status == 200 and told.complete:
        expected = {"settled", "cached"}
    else:
        expected = {"interrupted"} if told.status == 200 else {"failed", "interrupted"}
    if row["status"] not in expected:
        yield f"{told.nonce}: answered with {told.status}, but the record is {row['status']}"
    if told.cost == "unpriced":
        if row["cost_status"] != "unpriced":
            yield f"{told.nonce}: told 'unpriced', but the record is {row['cost_status']}"
    elif told.cost:
        nano = int(told.cost.replace(".", ""))
        sums.told_nano += nano
        sums.recorded_nano += row["cost_nano"]
        if nano != row["cost_nano"]:
            yield f"{told.nonce}: told {told.cost}, recorded {row['cost_nano']} nano-dollars"
    elif told.status == 200 and told.complete:
        yield f"{told.nonce}: a whole answer that does not say what it cost"


def _reached(row: Row) -> int:
    """How many attempts of a record say that the provider may have heard of it."""
    return sum(
        attempt["error"] != "upstream_connection_error" or attempt["cost_nano"] > 0 for attempt in row["attempts"]
    )
