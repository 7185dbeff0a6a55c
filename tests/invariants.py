"""What must be true of every record at the end of each test of the gateway, as far as rows can say it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from accounts.ledger.ids import made_at

Row = Mapping[str, Any]
ENDED = {"settled", "interrupted", "failed", "cached"}
BILLED = {"settled", "interrupted"}


def broken(rows: Iterable[Row], *, at_rest: bool = True) -> list[str]:
    """Return a sentence for each promise that one of the rows breaks. Takes lines of the export or journal entries.

    Where a process was killed and none has come after it, rows may be open: all is not `at_rest`.
    """
    found = [row for row in rows if at_rest or row["status"] != "open"]
    twice = [id for id, count in Counter(row["id"] for row in found).items() if count > 1]
    return [f"{id}: is there more than once (INV-1)" for id in twice] + [
        f"{row['id']}: {fault}" for row in found for fault in _faults(row)
    ]


def _faults(row: Row) -> Iterator[str]:
    attempts = row["attempts"]
    amounts = [row["cost_nano"], row["saved_nano"], *(each["cost_nano"] for each in attempts)]
    if any(type(amount) is not int or amount < 0 for amount in amounts):
        yield f"an amount is no count of nano-USD: {amounts} (INV-8)"
    if row["cost_nano"] != sum(each["cost_nano"] for each in attempts):
        yield "it does not cost what its attempts cost (INV-3)"
    try:
        made_at(row["id"])
    except ValueError as error:
        yield f"the ledger would not take it: {error} (INV-1)"
    if row["status"] not in ENDED:
        yield f"it is {row['status']} at rest (INV-11)"
    if [each["number"] for each in attempts] != list(range(1, len(attempts) + 1)):
        yield "its attempts are not numbered one after the other (INV-1)"
    if row["status"] in BILLED and not any(each["status"] in BILLED for each in attempts):
        yield f"it is {row['status']} without an attempt that is (INV-12)"
    if row["status"] == "cached" and (row["cost_nano"] or any(each["status"] in BILLED for each in attempts)):
        yield "it came from the cache and cost something (INV-7)"
    for each in attempts:
        yield from _attempt(each)
        # Of what a provider's own API does under names that we do not know, nobody can say what it used.
        if each["status"] == "interrupted" and each["usage_source"] == "none" and "native" not in row["surface"]:
            yield f"attempt {each['number']} may be billed and has no estimate (INV-12)"


def _attempt(attempt: Row) -> Iterator[str]:
    name = f"attempt {attempt['number']}"
    if attempt["status"] not in ENDED:
        yield f"{name} is {attempt['status']} at rest (INV-12)"
    if attempt["cost_nano"] and attempt["cost_status"] != "priced":
        yield f"{name} has a cost and is {attempt['cost_status']} (INV-10)"
    if attempt["cost_status"] == "priced" and attempt["price_id"] is None:
        yield f"{name} does not say which price it had (INV-10)"
    amounts = attempt.get("amounts") or {}
    if amounts and sum(amounts.values()) != attempt["cost_nano"]:
        yield f"{name}: its amounts by class are not its cost (INV-3)"
