"""Models that were called without a price, and the booking of what they cost once they have one.

Read from the daily totals, never counted over the ledger. The booking itself is a repricing of these requests alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import F, Max, Min, Sum
from django.utils import timezone

from accounts.models import AttemptRecord, DailyTotal
from accounts.models.repricing import Repricing
from accounts.prices import Book, Price
from accounts.store import reprice
from accounts.store.prices import load_book
from accounts.store.reprice import Wish

REASON = "Priced later"
DAY = timedelta(days=1)
State = Repricing.State


@dataclass(frozen=True, slots=True)
class Waiting:
    """One model at one provider: its calls without a price, and the tokens of the days on which there were such calls.

    `price` is the version in force today, or the next to take effect; `job` the latest booking that was asked for.
    """

    provider: str
    model: str
    kind: str
    calls: int
    tokens: int
    since: date
    until: date
    price: Price | None
    job: Repricing | None

    @property
    def begins(self) -> datetime | None:
        """When its price takes effect."""
        return (
            datetime.fromtimestamp(self.price.effective_from, timezone.get_default_timezone()) if self.price else None
        )

    @property
    def too_late(self) -> bool:
        """Whether calls were made before the price takes effect: those go on waiting."""
        return self.begins is not None and self.begins > _midnight(self.since)


def waiting(book: Book | None = None) -> list[Waiting]:
    """Return what waits, most calls first."""
    rows = DailyTotal.objects.filter(unpriced__gt=F("repriced")).values("provider", "model").order_by()
    summed = rows.annotate(
        calls=Sum(F("unpriced") - F("repriced")),
        tokens=Sum(F("input_tokens") + F("output_tokens")),
        since=Min("day"),
        until=Max("day"),
    )
    found = sorted(summed, key=lambda row: (-row["calls"], row["provider"], row["model"]))
    prices = (book or load_book()) if found else Book()
    return [_waiting(row, prices) for row in found]


def wish(each: Waiting) -> Wish:
    """Return the requests that wait, from the first day on to the end of the last."""
    return Wish(
        since=_midnight(each.since),
        until=_midnight(each.until + DAY),
        provider=each.provider,
        model=each.model,
        unpriced_only=True,
    )


def preview(each: Waiting, *, author: str, at_once: bool = False) -> Repricing:
    """Ask what booking it would come to; with `at_once` book it too. Raises RepricingRefused."""
    return reprice.ask(wish(each), author=author, reason=REASON, at_once=at_once)


def _waiting(row: Mapping[str, Any], prices: Book) -> Waiting:
    provider, model = row["provider"], row["model"]
    kind = _kind(provider, model)
    now = timezone.now().timestamp()
    price = prices.find(provider, kind, model, now) or prices.next(provider, kind, model, now)
    return Waiting(**row, kind=kind, price=price, job=_job(provider, model))


def _kind(provider: str, model: str) -> str:
    """Return the kind of provider as the latest of the attempts has it."""
    last = AttemptRecord.objects.filter(request__model=model, request__provider=provider, provider=provider)
    return last.order_by("-request__at").values_list("kind", flat=True).first() or ""


def _job(provider: str, model: str) -> Repricing | None:
    asked = Repricing.objects.filter(provider=provider, model=model, unpriced_only=True)
    return asked.exclude(state__in=(State.CANCELLED, State.DONE)).order_by("-id").first()


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min), timezone.get_default_timezone())
