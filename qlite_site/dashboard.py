"""The first page of the admin: what today looks like, as far as the person may see it."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import F, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts.models import DailyTotal, KeyRequest, LedgerQuarantine
from accounts.money import usd
from accounts.store import books
from proxy.errors import Unavailable
from proxy.surfaces.gateway import current
from routing.models import Breaker, Revision

UNPRICED_DAYS = 7
DAYS_DRAWN = 14
BAR = 80
BACKLOG = 5_000  # rows; the housekeeper moves that many in a few seconds


@dataclass(frozen=True, slots=True)
class Card:
    """One figure. `warn` marks what somebody should look at."""

    title: str
    value: str
    hint: str = ""
    link: str = ""
    warn: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """One day in the drawing."""

    day: date
    shown: str
    left: int
    top: int
    width: int
    height: int
    middle: int
    label: int


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the cards that this person's permissions allow."""
    today, user = timezone.localdate(), request.user
    cards: list[Card] = []
    more: dict[str, Any] = {}
    if user.has_perm("accounts.view_dailytotal"):
        cards += [*_money(today), _unpriced(today)]
        more |= _bars(today)
    if user.has_perm("accounts.view_keyrequest"):
        cards.append(_waiting())
    if user.has_perm("accounts.view_ledgerquarantine"):
        cards += [_journal(settings.JOURNAL_DIR), _quarantine(), _books()]
    if user.has_perm("routing.view_breaker"):
        cards.append(_trouble())
    if user.has_perm("routing.view_revision"):
        more["revisions"] = Revision.objects.defer("document", "diff").order_by("-number")[:8]
    return {**context, "cards": cards, **more}


def _money(today: date) -> list[Card]:
    names = (
        "cost_nano",
        "adjusted_nano",
        "estimated_nano",
        "requests",
        "failed",
        "interrupted",
        "cached",
        "saved_nano",
    )
    sums = DailyTotal.objects.filter(day=today).aggregate(**{name: Sum(name, default=0) for name in names})
    records = reverse("admin:accounts_requestrecord_changelist")
    totals = f"{reverse('admin:accounts_dailytotal_changelist')}?day={today.isoformat()}"
    bad = sums["failed"] + sums["interrupted"]
    spent = sums["cost_nano"] + sums["adjusted_nano"]
    estimated = f"${usd(sums['estimated_nano'], places=2)} of it estimated" if sums["estimated_nano"] else ""
    return [
        Card("Spent today", f"${usd(spent, places=2)}", estimated, totals),
        Card("Requests today", f"{sums['requests']:,}", f"{sums['cached']:,} from the cache", records),
        Card("Failed or cut today", f"{bad:,}", _share(bad, sums["requests"]), f"{records}?status__exact=failed"),
        Card("Saved by the cache today", f"${usd(sums['saved_nano'], places=2)}"),
    ]


def _unpriced(today: date) -> Card:
    since = today - timedelta(days=UNPRICED_DAYS - 1)
    rows = (
        DailyTotal.objects.filter(day__gte=since, unpriced__gt=F("repriced"))
        .values_list("provider", "model")
        .distinct()
    )
    names = [f"{provider}/{model}" for provider, model in rows.order_by("provider", "model")[:20]]
    return Card(
        "Models without a price",
        str(len(names)) if len(names) < 20 else "20 or more",
        ", ".join(names[:3]) or f"none in {UNPRICED_DAYS} days",
        reverse("admin:accounts_price_waiting"),
        warn=bool(names),
    )


def _waiting() -> Card:
    count = KeyRequest.objects.filter(state=KeyRequest.State.PENDING).count()
    link = f"{reverse('admin:accounts_keyrequest_changelist')}?state__exact=pending"
    return Card("Key requests waiting", str(count), link=link, warn=bool(count))


def _journal(folder: Path) -> Card:
    """Rows that wait for the main database here, and, by their locks, how many of this host write journals."""
    journals = len(list(folder.glob("*.lock"))) if folder.is_dir() else 0
    hint = f"{journals} journal{'' if journals == 1 else 's'} on this host"
    try:
        waiting = current().journal.backlog()
    except Unavailable:
        return Card("Journal backlog", "unknown", hint)
    return Card("Journal backlog", f"{waiting:,}", f"rows wait in this process; {hint}", warn=waiting > BACKLOG)


def _trouble() -> Card:
    names = list(Breaker.objects.in_trouble().order_by("target").values_list("target", flat=True)[:20])
    return Card(
        "Targets in trouble",
        str(len(names)) if len(names) < 20 else "20 or more",
        ", ".join(names[:3]) or "every breaker is closed",
        reverse("admin:routing_breaker_changelist"),
        warn=bool(names),
    )


def _quarantine() -> Card:
    link = reverse("admin:accounts_ledgerquarantine_changelist")
    some = LedgerQuarantine.objects.exists()
    return Card("Ledger rows in quarantine", "some" if some else "none", link=link, warn=some)


def _books() -> Card:
    found = books.state()
    when = f"{datetime.fromtimestamp(found.verified_at, timezone.get_current_timezone()):%Y-%m-%d %H:%M}"
    hint = f"{found.days} closed days, last looked through {when}" if found.verified_at else "no day is closed yet"
    link = reverse("admin:accounts_ledgerday_changelist")
    return Card("Ledger", f"{found.problems} faults" if found.problems else "sound", hint, link, found.problems > 0)


def _bars(today: date) -> dict[str, Any]:
    """The last days' spending as bars in a drawing 80 units wide for each and 100 high."""
    days = [today - timedelta(days=DAYS_DRAWN - 1 - n) for n in range(DAYS_DRAWN)]
    totals = DailyTotal.objects.filter(day__gte=days[0]).values_list("day")
    spent = dict(totals.annotate(spent=Sum("cost_nano") + Sum("adjusted_nano")).order_by("day"))
    most = max([*spent.values(), 1])
    bars = [_bar(n, day, spent.get(day, 0), most) for n, day in enumerate(days)]
    return {"bars": bars if spent else [], "bars_width": BAR * DAYS_DRAWN}


def _bar(number: int, day: date, amount: int, most: int) -> Bar:
    height = max(0, amount * 80 // most)
    left = number * BAR
    return Bar(day, f"${usd(amount, places=2)}", left + 10, 96 - height, BAR - 20, height, left + BAR // 2, 92 - height)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} % of all" if whole else ""
