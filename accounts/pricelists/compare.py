"""A list beside the price book: what is new, what changed, what is the same, and what finance has set itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from accounts.pricelists.offers import BEGINNING, Offer
from accounts.rates import Amounts, Service, Tier

NEW, CHANGED, SAME, IGNORED = "new", "changed", "unchanged", "ignored"


@dataclass(frozen=True, slots=True)
class Version:
    """A version in the price book, for any provider of `kind`; `own` is finance's."""

    kind: str
    model: str
    effective_from: datetime
    own: bool
    amounts: Amounts
    tiers: tuple[Tier, ...] = ()
    services: Mapping[str, Service] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One version that a list would add (new, changed), or why it adds none (unchanged, ignored)."""

    status: str
    offer: Offer
    effective_from: datetime
    former: Version | None = None
    why: str = ""


def compare(offers: Iterable[Offer], versions: Iterable[Version], *, now: datetime) -> list[Change]:
    """Return what the offers mean for the book, each model's in the order of their dates."""
    known: dict[tuple[str, str], list[Version]] = {}
    for version in versions:
        known.setdefault((version.kind, version.model), []).append(version)
    covering = [each for each in (version for rows in known.values() for version in rows) if each.own]
    offered: dict[tuple[str, str], list[Offer]] = {}
    for offer in offers:
        offered.setdefault(offer.key, []).append(offer)
    changes: list[Change] = []
    for key, listed in offered.items():
        listed.sort(key=lambda each: each.effective_from or BEGINNING)
        there = sorted(known.get(key, ()), key=lambda each: each.effective_from)
        changes.extend(_of_model(listed, there, covering, now))
    return changes


def _of_model(listed: list[Offer], there: list[Version], covering: list[Version], now: datetime) -> Iterable[Change]:
    last = listed[-1]
    if mine := _own(last, there, covering):
        yield Change(IGNORED, last, mine.effective_from, mine, "finance set its own")
        return
    if not there:
        yield from (Change(NEW, offer, offer.effective_from or BEGINNING) for offer in listed)
        return
    yield from _after(listed, there[-1], now)


def _after(listed: list[Offer], latest: Version, now: datetime) -> Iterable[Change]:
    """Compare with the latest version: what the list says of its time, and what it says of later."""
    since = latest.effective_from
    earlier = [offer for offer in listed if offer.effective_from is None or offer.effective_from <= since]
    former: Version | Offer = latest
    changed = False
    if earlier and not _same(earlier[-1], former):
        # The list has no date for it, or an older one than we have: from today on, never over what was booked.
        yield Change(CHANGED, earlier[-1], max(now, since), latest)
        former, changed = earlier[-1], True
    for offer in listed[len(earlier) :]:
        if not _same(offer, former):
            begins = offer.effective_from or now
            yield Change(CHANGED, offer, max(begins, now) if changed else begins, latest)
            former, changed = offer, True
    if not changed:
        yield Change(SAME, listed[-1], since, latest)


def _own(offer: Offer, there: list[Version], covering: list[Version]) -> Version | None:
    """Return finance's own price for the model: the latest version, or a pattern that means it."""
    if there and there[-1].own:
        return there[-1]
    return next((each for each in covering if _covers(each, offer)), None)


def _covers(version: Version, offer: Offer) -> bool:
    """Say whether the version means the offer's model; a lone * means all that has no price otherwise."""
    if version.kind not in ("", offer.kind) or version.model == "*":
        return False
    return version.model == offer.model or (version.model[-1:] == "*" and offer.model.startswith(version.model[:-1]))


def _same(offer: Offer, other: Version | Offer) -> bool:
    return (
        dict(offer.amounts) == dict(other.amounts)
        and offer.tiers == other.tiers
        and dict(offer.services) == dict(other.services or {})
    )
