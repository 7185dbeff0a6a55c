"""A sealed day looked through again, row by row and in pieces: what was changed since is named.

Yields a sentence for each fault, and None after each piece of work, so that whoever asks can rest in between.
"""

from collections.abc import Iterator
from datetime import date
from hashlib import sha256

import orjson

from accounts.models import LedgerDay, LedgerLink
from accounts.store import canon, recount, totals, walk
from accounts.store.ledger import batches
from accounts.store.rows import ATTEMPT, ENDED, REQUEST
from accounts.store.seal import adjustment_digest, split
from accounts.store.totals import SUMS, TABLES, Key, Sums
from accounts.store.walk import PIECE, START, Record

Kind = LedgerLink.Kind
Findings = Iterator[str | None]
Totals = dict[Key, tuple[int, ...]]
COST, STATUS = REQUEST.index("cost_nano"), REQUEST.index("status")
NUMBER, ATTEMPT_COST = ATTEMPT.index("number"), ATTEMPT.index("cost_nano")


def examine(day: date, links: int = 1) -> Findings:
    """Look through a sealed day: its rows against its links and its totals, its links against each other.

    Takes that many links in a piece.
    """
    closed = LedgerDay.objects.get(day=day)
    yield from _chain(closed)
    sums: Sums = {}
    yield from _rows(closed, sums, links)
    yield from _adjustments(closed)
    yield from _sums(closed, sums)


def confirmed(day: date, links: int = 1) -> Findings:
    """The same, looking again where there is a fault: a row that came in between looked like one."""
    found = set[str]()
    for finding in examine(day, links):
        if finding is not None:
            found.add(finding)
        yield None
    for finding in examine(day, links) if found else ():
        yield finding if finding in found else None


def row_faults(record: Record) -> Iterator[str]:
    """Yield what is wrong with a record by itself."""
    numbers = [each[NUMBER] for each in record.attempts]
    costs = [each[ATTEMPT_COST] for each in record.attempts]
    if any(type(cost) is not int for cost in costs) or record.row[COST] != sum(costs):
        yield f"request {record.id}: its cost is not the sum of its attempts"
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"request {record.id}: an attempt is missing"
    if record.row[STATUS] not in ENDED:
        yield f"request {record.id}: its status is none that a record can have"
    if type(record.row[COST]) is not int:
        yield f"request {record.id}: its cost is not an integer"


def totals_digest(day: date) -> str:
    """Return the digest of a day's totals, corrections left out: what stands for rows that are gone."""
    stored = _stored(day)
    lines = ([*key, *stored[key]] for key in sorted(stored, key=str) if any(stored[key]))
    return sha256(b"\n".join(map(orjson.dumps, lines))).hexdigest()


def _chain(closed: LedgerDay) -> Findings:
    head, count = None, 0
    for link in LedgerLink.objects.filter(day=closed.pk).order_by("number").defer("members").iterator(chunk_size=100):
        count += 1
        name = f"day {closed.day}, link {link.number}"
        if link.number != count or (head is not None and link.previous != head):
            yield f"{name}: it does not follow the link before it"
        elif head is None and link.previous and not LedgerLink.objects.filter(head=link.previous).exists():
            yield f"{name}: the day that it follows is not the one that was there"
        made = canon.chained(link.previous, closed.day, link.number, link.kind, link.rows, link.digest)
        if made != link.head:
            yield f"{name}: it was changed"
        head = link.head
        yield None
    if (head or "") != closed.head or count != closed.links:
        yield f"day {closed.day}: the head of its chain is not that of its last link"


def _rows(closed: LedgerDay, sums: Sums, at_once: int) -> Findings:
    """Compare the rows with the links. What stands in no link came after the day was sealed, and waits for one."""
    after, late = START, dict[bytes, bytes]()  # full digests by short id
    for links in batches(_links(closed, Kind.ROWS), at_once):
        found: dict[bytes, bytes] = {}
        end = (links[-1].last_at, links[-1].last_id)
        # More than the links hold, so that what they hold comes as one page, and none is asked for behind it.
        for page in walk.pages(closed.day, after, end, size=(at_once + 1) * PIECE):
            yield from _looked_at(page, sums, found)
        late |= found
        for link in links:
            yield from _compared(closed, link, found)
            for id in split(link.members):
                late.pop(id, None)
        after = end
        yield None
    for page in walk.pages(closed.day, after):
        yield from _looked_at(page, sums, late)
        yield None
    for link in _links(closed, Kind.LATE):
        yield from _compared(closed, link, late)
        yield None


def _links(closed: LedgerDay, kind: str) -> Iterator[LedgerLink]:
    return LedgerLink.objects.filter(day=closed.pk, kind=kind).order_by("number").iterator(chunk_size=8)


def _looked_at(page: list[Record], sums: Sums, found: dict[bytes, bytes]) -> Iterator[str]:
    try:
        for _ in totals.tally((each.row for each in page), sums):
            pass
    except (TypeError, ValueError, AttributeError) as error:  # who has changed rows may have left anything there
        yield f"requests {page[0].id} to {page[-1].id}: they cannot be added up: {error}"
    for record in page:
        found[canon.short(record.id)] = record.digest
        yield from row_faults(record)


def _adjustments(closed: LedgerDay) -> Findings:
    for link in _links(closed, Kind.ADJUSTMENTS):
        members = split(link.members)
        first = min(int.from_bytes(id, "big") for id in members) if members else 0
        rows = walk.adjustments(first - 1, until=int(link.last_id))
        yield from _compared(closed, link, {canon.numbered(row[0]): adjustment_digest(row) for row in rows})
        yield None


def _compared(closed: LedgerDay, link: LedgerLink, found: dict[bytes, bytes]) -> Iterator[str]:
    """Name the members of a link that are not as they were."""
    what = "adjustment" if link.kind == Kind.ADJUSTMENTS else "request"
    members, whole = split(link.members), True
    for id, digest in members.items():
        there = found.get(id)
        if there is None:
            whole = False
            if closed.pruned_at is None or what == "adjustment":
                yield f"{what} {canon.shown(id)}: is gone, and was there when day {closed.day} was sealed"
        elif there[: canon.DIGEST] != digest:
            whole = False
            yield f"{what} {canon.shown(id)}: was changed after day {closed.day} was sealed"
    if whole and sha256(b"".join(found[id] for id in members)).hexdigest() != link.digest:
        yield f"day {closed.day}, link {link.number}: its digest is not that of its rows"
    if len(members) != link.rows:
        yield f"day {closed.day}, link {link.number}: it has {len(members)} rows, and had {link.rows}"


def _sums(closed: LedgerDay, sums: Sums) -> Findings:
    if closed.pruned_at is not None:
        if totals_digest(closed.day) != closed.totals_digest:
            yield f"day {closed.day}: the totals that stand for its pruned rows were changed"
        return
    stored = _stored(closed.day)
    made = {tuple(canon.plain(each) for each in key): tuple(parts) for key, parts in sums.items()}
    zero = (0,) * len(SUMS)
    for key in sorted(stored.keys() | made.keys(), key=str):
        for name, there, sum_of_rows in zip(SUMS, stored.get(key, zero), made.get(key, zero), strict=True):
            if there != sum_of_rows:
                yield f"daily total {recount.said(key)}: {name} is {there}, its rows make {sum_of_rows}"
    yield None


def _stored(day: date) -> Totals:
    """Return what the totals say, plain values by dimensions."""
    found: Totals = {}
    for model in TABLES:
        rows = model._default_manager.filter(day=day).order_by().values_list(*model.DIMENSIONS, *SUMS)
        parts = len(model.DIMENSIONS)
        for row in rows.iterator():
            found[tuple(canon.plain(each) for each in row[:parts])] = tuple(row[parts:])
    return found
