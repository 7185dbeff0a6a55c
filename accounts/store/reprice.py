"""Repricing of a period, in small steps: a preview first, then adjustments. Whoever goes on, and after a crash, goes on
where the last step ended; each step is one transaction."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet, Sum
from django.utils import timezone

from accounts.ledger.pricing import Pricing, pricing
from accounts.models import AttemptRecord, DailyTotal, RequestRecord
from accounts.models.repricing import Repricing
from accounts.prices import Book
from accounts.store.prices import load_book
from accounts.store.reckon import MONEY, Reckoned, book, reckon

STEP = 40  # records looked at in one transaction
MODELS = 200  # told apart in a preview
OTHERS = "others"
TURN = 0.01  # seconds
State = Repricing.State


@dataclass(frozen=True, slots=True)
class Wish:
    """Which requests are to be reckoned again: admitted from `since` on and before `until`, and tried at `provider`
    with `model` (a name, or its beginning and a *; "" for any)."""

    since: datetime
    until: datetime
    provider: str = ""
    model: str = ""
    unpriced_only: bool = False


class RepricingRefused(Exception):
    """The sentence is for the person who tried."""


def ask(wish: Wish, *, author: str, reason: str, at_once: bool = False) -> Repricing:
    """Ask for a preview, and with `at_once` for the booking behind it. The housekeeper does both.

    Raises RepricingRefused.
    """
    if not reason.strip() or not author.strip():
        raise RepricingRefused("Say why the period is repriced, and who wants it.")
    if wish.since >= wish.until:
        raise RepricingRefused("The period ends before it begins.")
    if "*" in wish.model[:-1]:
        raise RepricingRefused("A * may stand only at the end of the model.")
    facts = {name: getattr(wish, name) for name in ("since", "until", "provider", "model", "unpriced_only")}
    return Repricing.objects.create(
        **facts, author=author.strip(), reason=reason.strip(), at_once=at_once, expected=_expected(wish)
    )


def apply(id: int, *, by: str) -> bool:
    """Let a preview that is ready be booked. Returns whether it was ready; nothing is applied twice."""
    return _begin_again(Repricing.objects.filter(pk=id, state=State.READY), by)


def cancel(id: int) -> bool:
    """Stop it. What is booked already stays booked. Returns whether there was something to stop."""
    unfinished = Repricing.objects.filter(pk=id, state__in=(State.PREVIEWING, State.READY, State.APPLYING))
    return bool(unfinished.update(state=State.CANCELLED, finished_at=timezone.now()))


def unfinished() -> int | None:
    """Return the id of the oldest that has work to be done."""
    waiting = Repricing.objects.filter(state__in=(State.PREVIEWING, State.APPLYING))
    return waiting.order_by("id").values_list("id", flat=True).first()


def run(id: int, prices: Book | None = None, *, told: Callable[[Repricing], None] = lambda job: None) -> Repricing:
    """Do all that is to be done now, telling of each step."""
    price = pricing(prices or load_book())
    while (job := Repricing.objects.get(pk=id)).running:
        told(job)
        if not step(id, price):
            time.sleep(TURN)  # somebody else may be at it
    return job


def step(id: int, price: Pricing) -> bool:
    """Look at the next records, and book what changes where it is being applied. Returns whether there is more."""
    with transaction.atomic():
        job = _locked(id)
        if job is None or not job.running:
            return False
        seen = list(_next(job))
        found = reckon(_meant(job, [id for id, _ in seen]), price)
        if job.state == State.APPLYING:
            book(found.changes, author=job.applied_by, reason=job.reason)
        _note(job, found)
        if seen:
            (job.cursor_id, job.cursor_at), job.looked = seen[-1], job.looked + len(seen)
        job.save()
        if len(seen) == STEP:
            return True
        return _finish(job)


def _locked(id: int) -> Repricing | None:
    """Return it, locked; None where somebody else is at it."""
    skip = connection.features.has_select_for_update_skip_locked
    return Repricing.objects.select_for_update(skip_locked=skip).filter(pk=id).first()


def _next(job: Repricing) -> QuerySet[RequestRecord, tuple[str, datetime]]:
    rows = RequestRecord.objects.filter(at__gte=job.since, at__lt=job.until)
    if job.cursor_at is not None:
        later = Q(at__gt=job.cursor_at) | Q(id__gt=job.cursor_id)
        rows = rows.filter(later, at__gte=job.cursor_at)
    return rows.order_by("at", "id").values_list("id", "at")[:STEP]


def _meant(job: Repricing, ids: list[str]) -> list[str]:
    """Return those of the requests with an attempt that is meant; what has no price need not be that attempt."""
    money = AttemptRecord.objects.filter(request__in=ids, cost_status__in=MONEY)
    rows = money
    if job.provider:
        rows = rows.filter(provider=job.provider)
    if job.model.endswith("*"):
        rows = rows.filter(model__startswith=job.model[:-1])
    elif job.model:
        rows = rows.filter(model=job.model)
    if job.unpriced_only:
        rows = rows.filter(request__in=money.filter(cost_status="unpriced").values("request"))
    return sorted(set(rows.order_by().values_list("request_id", flat=True)))


def _note(job: Repricing, found: Reckoned) -> None:
    count, delta = len(found.changes), sum(change.delta for change in found.changes)
    if job.state == State.APPLYING:
        job.booked, job.booked_nano = job.booked + count, job.booked_nano + delta
        return
    job.found, job.delta_nano, job.waiting = job.found + count, job.delta_nano + delta, job.waiting + found.waiting
    for change in found.changes:
        name = f"{change.record.provider}/{change.record.model}"
        name = name if name in job.by_model or len(job.by_model) < MODELS else OTHERS
        before = job.by_model.get(name, (0, 0))
        job.by_model[name] = (before[0] + 1, before[1] + change.delta)


def _finish(job: Repricing) -> bool:
    """End the preview or the booking. Returns whether the booking follows at once."""
    this = Repricing.objects.filter(pk=job.pk)
    if job.state == State.PREVIEWING and job.at_once:
        return _begin_again(this, job.author)
    if job.state == State.PREVIEWING:
        this.update(state=State.READY)
    else:
        this.update(state=State.DONE, finished_at=timezone.now())
    return False


def _begin_again(jobs: QuerySet[Repricing], by: str) -> bool:
    return bool(
        jobs.update(
            state=State.APPLYING, applied_by=by, looked=0, booked=0, booked_nano=0, cursor_at=None, cursor_id=""
        )
    )


def _expected(wish: Wish) -> int:
    first, last = (timezone.localdate(moment) for moment in (wish.since, wish.until))
    rows = DailyTotal.objects.filter(day__range=(first, last))
    return int(rows.aggregate(found=Sum(F("requests"), default=0))["found"])
