"""Recorded requests decided again, under two tables: who would go elsewhere, and at what cost. Plain.

Of a request only what the ledger keeps is known: not its prompt, but how large it was and whether it had tools, images
or a schema; its session where its route was sticky when it came. Both tables get the same draw for the same request, so
that chance alone moves nobody.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from accounts.prices import Usage
from proxy.native.passing import again
from routing.decide import Draw, Request, View, order
from routing.snapshot import Snapshot
from routing.values import Target

NOWHERE = "refused"
MOST_MOVES = 200  # pairs of targets that are told apart; the rest are summed up
OTHERS = "others"

Price = Callable[[Target, Usage], int | None]  # what an answer would cost in nano-USD, None without a price


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request of the past: what is known of how it was asked, and what its answer used, None from the cache."""

    id: str
    request: Request
    usage: Usage | None
    surface: str = "chat"


@dataclass(slots=True)
class Tally:
    """What has been found so far; amounts in nano-USD. `moves` counts requests by "from" and "to"."""

    seen: int = 0
    moved: int = 0
    refused_before: int = 0
    refused_after: int = 0
    unpriced_before: int = 0
    unpriced_after: int = 0
    cost_before: int = 0
    cost_after: int = 0
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """Return everything in a form that JSON can hold, the largest moves first."""
        moves = [[*pair, count] for pair, count in self.moves.most_common()]
        return asdict(self) | {"moves": moves}

    @classmethod
    def of(cls, kept: dict[str, Any]) -> "Tally":
        """Read what `as_dict` wrote."""
        moves = Counter({(start, end): count for start, end, count in kept.get("moves", ())})
        return cls(**(kept | {"moves": moves}))


def replay(records: Iterable[Recorded], before: Snapshot, after: Snapshot, view: View, price: Price, to: Tally) -> None:
    """Decide each request under both tables and add what comes of it to `to`."""
    for record in records:
        old = first(record, before, view)
        new = first(record, after, view)
        to.seen += 1
        to.refused_before += old is None
        to.refused_after += new is None
        to.cost_before, to.unpriced_before = _priced(old, record, price, to.cost_before, to.unpriced_before)
        to.cost_after, to.unpriced_after = _priced(new, record, price, to.cost_after, to.unpriced_after)
        if _name(old) != _name(new):
            to.moved += 1
            pair = (_name(old), _name(new))
            to.moves[pair if pair in to.moves or len(to.moves) < MOST_MOVES else (OTHERS, OTHERS)] += 1


def first(record: Recorded, table: Snapshot, view: View) -> Target | None:
    """Return the target that would be tried first, None where the request would be refused."""
    match = again(table, record.surface, record.request.model, record.request.team)
    if match is None:
        return None
    ordered = order(match, record.request, view, _draw(record.id))
    return ordered[0] if ordered else None


def _draw(id: str) -> Draw:
    """The same numbers for the same request each time."""
    return random.Random(id).random  # noqa: S311  chance, not a secret


def _priced(target: Target | None, record: Recorded, price: Price, cost: int, unpriced: int) -> tuple[int, int]:
    if target is None or record.usage is None:
        return cost, unpriced
    nano = price(target, record.usage)
    return (cost, unpriced + 1) if nano is None else (cost + nano, unpriced)


def _name(target: Target | None) -> str:
    return NOWHERE if target is None else target.name
