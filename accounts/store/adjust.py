"""Corrections: booked beside the record they correct, never over it, in the totals of the record's own day."""

from dataclasses import dataclass, replace

from django.db import IntegrityError, connection, transaction

from accounts.models import Adjustment, RequestRecord, Team
from accounts.store import totals
from accounts.store.rows import LARGEST

REPRICED = "reprice:"  # what the references of repricing begin with
ELSEWHERE = "The reference {} is booked on another record."
Wish = tuple[int | None, int | None, str | None, str | None, str | None]  # as the last arguments of `_wanted`


class AdjustmentRefused(Exception):
    """The correction cannot be booked; the sentence is for the person who tried."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a record amounts to and who pays, its adjustments counted in. Nano-USD."""

    cost_nano: int
    team: str
    cost_centre: str
    owner: str

    def after(self, adjustment: Adjustment) -> "Standing":
        return Standing(
            cost_nano=self.cost_nano + adjustment.cost_nano_delta,
            team=self.team if adjustment.team is None else adjustment.team,
            cost_centre=self.cost_centre if adjustment.cost_centre is None else adjustment.cost_centre,
            owner=self.owner if adjustment.owner is None else adjustment.owner,
        )


def standing(record: RequestRecord) -> Standing:
    """Return where the record stands today."""
    stands = original(record)
    for adjustment in record.adjustments.order_by("id"):
        stands = stands.after(adjustment)
    return stands


def original(record: RequestRecord) -> Standing:
    """Return where the record stood before any adjustment."""
    return Standing(record.cost_nano, record.team, record.cost_centre, record.owner)


def adjust(
    record: RequestRecord,
    *,
    author: str,
    reason: str,
    cost_nano: int | None = None,
    delta: int | None = None,
    team: str | None = None,
    cost_centre: str | None = None,
    owner: str | None = None,
    external_ref: str = "",
) -> Adjustment:
    """Book a correction and carry it into the daily totals.

    Give the new cost (`cost_nano`) or what is to be added to it (`delta`), both in nano-USD, a new team, cost centre
    or owner, or several of these; None leaves what stands. With an `external_ref` that is booked already, the earlier
    adjustment is returned and nothing is booked. Raises AdjustmentRefused.
    """
    if not reason.strip():
        raise AdjustmentRefused("Say why the record is corrected.")
    if not author.strip():
        raise AdjustmentRefused("Say who corrects the record.")
    reference = external_ref.strip()
    if reference.startswith(REPRICED):
        raise AdjustmentRefused(f"References that begin with {REPRICED} are for repricing.")
    wish = (cost_nano, delta, team, cost_centre, owner)
    try:
        return _adjusted(record, author.strip(), reason.strip(), reference, wish)
    except IntegrityError:
        # Somebody else was quicker with the same reference, on a record that was not locked by us.
        raise AdjustmentRefused(ELSEWHERE.format(reference)) from None


@transaction.atomic
def _adjusted(record: RequestRecord, author: str, reason: str, reference: str, wish: Wish) -> Adjustment:
    # The lock is on the untouched original: of two who correct it at once, the second sees what the first booked.
    record = RequestRecord.objects.select_for_update().get(pk=record.pk)
    earlier = _booked(record, reference)
    if earlier is not None:
        return earlier
    before = standing(record)
    after = _wanted(before, *wish)
    if after == before:
        raise AdjustmentRefused("Nothing would change.")
    first = record.cost_status == "unpriced" and not any(map(gives_cost, record.adjustments.all()))
    booked = Adjustment.objects.create(
        request=record,
        day=record.day,
        author=author,
        reason=reason,
        external_ref=reference,
        cost_nano_delta=after.cost_nano - before.cost_nano,
        team=_if_new(after.team, before.team),
        cost_centre=_if_new(after.cost_centre, before.cost_centre),
        owner=_if_new(after.owner, before.owner),
    )
    with connection.cursor() as cursor:
        totals.add_adjusted(cursor, moved(record, before, after))
        if first and gives_cost(booked):
            totals.add_repriced(cursor, dict.fromkeys(totals.keys_of(record), 1))
    return booked


def gives_cost(adjustment: Adjustment) -> bool:
    """Say whether it gives its record a cost: the first that does ends the wait of one without a price."""
    return adjustment.reprice or adjustment.cost_nano_delta > 0


def moved(record: RequestRecord, before: Standing, after: Standing) -> dict[totals.Key, int]:
    """Return what a step from `before` to `after` adds to each of the daily totals, in nano-USD."""
    deltas: dict[totals.Key, int] = {}
    for stands, amount in ((before, -before.cost_nano), (after, after.cost_nano)):
        key = (record.day, stands.team, stands.cost_centre, record.key_id, record.model, record.provider, record.route)
        for each in totals.spread(key, record.tags):
            deltas[each] = deltas.get(each, 0) + amount
    return {key: amount for key, amount in deltas.items() if amount}


def _wanted(
    before: Standing, cost: int | None, delta: int | None, team: str | None, cost_centre: str | None, owner: str | None
) -> Standing:
    if cost is not None and delta is not None:
        raise AdjustmentRefused("Give the new cost or the difference, not both.")
    new = before.cost_nano + (delta or 0) if cost is None else cost
    if type(new) is not int or not 0 <= new <= LARGEST:
        raise AdjustmentRefused("The corrected cost would be below zero or beyond all measure.")
    if team not in (None, before.team) and not Team.objects.filter(name=team).exists():
        raise AdjustmentRefused(f"There is no team {team!r}.")
    if len(cost_centre or "") > 64 or len(owner or "") > 200:
        raise AdjustmentRefused("The cost centre or the owner is too long.")
    changes = {"team": team, "cost_centre": cost_centre, "owner": owner}
    return replace(before, cost_nano=new, **{name: text for name, text in changes.items() if text is not None})


def _booked(record: RequestRecord, reference: str) -> Adjustment | None:
    earlier = Adjustment.objects.filter(external_ref=reference).first() if reference else None
    if earlier is not None and earlier.request_id != record.pk:
        raise AdjustmentRefused(ELSEWHERE.format(reference))
    return earlier


def _if_new(after: str, before: str) -> str | None:
    return None if after == before else after
