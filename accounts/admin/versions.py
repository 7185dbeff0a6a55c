"""Which of a price's versions is which: the state of each, the filter over them, and a model's history."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.admin.fields import short_usd
from accounts.models import Price

WHOSE = ("provider", "kind", "model")
IN_FORCE, SUPERSEDED, PLANNED, WAITING = "in force", "superseded", "planned", "waiting for approval"


def marked(rows: QuerySet[Price]) -> QuerySet[Any]:
    """Note on each whether a later version has taken its place, and whether a later one is planned."""
    used = Price.objects.filter(approved_at__isnull=False, effective_from__gt=OuterRef("effective_from"))
    later = used.filter(**{name: OuterRef(name) for name in WHOSE})
    now = timezone.now()
    annotated: QuerySet[Any] = rows.annotate(
        superseded=Exists(later.filter(effective_from__lte=now)), changes=Exists(later.filter(effective_from__gt=now))
    )
    return annotated


def state_of(price: Any) -> str:
    """Return the state of a version that was `marked`."""
    if price.approved_at is None:
        return WAITING
    if price.effective_from > timezone.now():
        return PLANNED
    return SUPERSEDED if price.superseded else IN_FORCE


class StateFilter(admin.SimpleListFilter):
    """Versions by state; where nothing else is asked for, all but the superseded ones."""

    title = "state"
    parameter_name = "state"
    CURRENT, ALL = "current and planned", "all"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(word, word.capitalize()) for word in (self.CURRENT, IN_FORCE, PLANNED, WAITING, SUPERSEDED, self.ALL)]

    def choices(self, changelist: Any) -> Any:
        for word, title in self.lookup_choices:
            query = changelist.get_query_string({self.parameter_name: word}, ["p"])
            yield {"selected": (self.value() or self.CURRENT) == word, "query_string": query, "display": title}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now, approved = timezone.now(), Q(approved_at__isnull=False)
        begun = Q(effective_from__lte=now)
        wanted = {
            IN_FORCE: approved & begun & Q(superseded=False),
            SUPERSEDED: approved & begun & Q(superseded=True),
            PLANNED: approved & ~begun,
            WAITING: ~approved,
            self.CURRENT: ~approved | Q(superseded=False),
        }
        return queryset.filter(wanted.get(self.value() or self.CURRENT, Q()))


def history_address(price: Price) -> str:
    """Return the address of the list of all versions of the same price."""
    same = {f"{name}__exact": getattr(price, name) for name in WHOSE}
    return f"{reverse('admin:accounts_price_changelist')}?{urlencode({**same, 'state': StateFilter.ALL})}"


def history(price: Price) -> SafeString:
    """Return all versions of the same price, the newest first."""
    same = marked(Price.objects.filter(**{name: getattr(price, name) for name in WHOSE})).order_by("-effective_from")
    lines = (
        (
            reverse("admin:accounts_price_change", args=[each.pk]),
            f"{timezone.localtime(each.effective_from):%Y-%m-%d %H:%M}",
            f"{_usd(each.input)} / {_usd(each.output)}",
            f"{state_of(each)}, {each.created_by or 'unknown'}",
        )
        for each in same
    )
    row = '<tr><th><a class="text-link" href="{}">{}</a></th><td>{}</td><td>{}</td></tr>'
    head = "<tr><th>Takes effect</th><th>Input / output</th><th></th></tr>"
    return format_html(
        '<table class="ql-table ql-history">{}{}</table>', SafeString(head), format_html_join("", row, lines)
    )


def _usd(amount: int | None) -> str:
    return "-" if amount is None else short_usd(amount)
