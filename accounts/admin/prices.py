"""Prices in the admin: versions are added, never edited; what is or was in force is never deleted."""

from datetime import datetime, time
from functools import partial
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts import scales
from accounts.admin import pricelists, waiting
from accounts.admin.base import ModelAdmin, ModelForm, badge
from accounts.admin.fields import ScaleField, UsdField, short_usd
from accounts.admin.versions import (
    IN_FORCE,
    PLANNED,
    SUPERSEDED,
    WAITING,
    WHOSE,
    StateFilter,
    history,
    history_address,
    marked,
    state_of,
)
from accounts.models import DailyTotal, Price
from accounts.models.prices import AMOUNTS
from accounts.store import prices

SCALES = ("tiers", "services")
SHOWN = ("input", "cached_input", "output")
# What an amount that is not given stands for.
WITHOUT = {
    "cached_input": "as input",
    "cache_write": "as input",
    "cache_write_1h": "as cache write",
    "reasoning": "as output",
    "audio_input": "as input",
    "cached_audio": "as cached input, else as audio input",
    "audio_output": "as output",
    "image_input": "as input",
    "cached_image": "as cached input, else as image input",
    "image_output": "as output",
}


def _amount(name: str) -> UsdField:
    """US dollars for a million units, with the model's own word on what an empty one means."""
    column: Any = Price._meta.get_field(name)
    text = column.help_text or "US dollars a million tokens."
    return UsdField(required=False, label=name.replace("_", " ").capitalize(), help_text=text)


class PriceForm(ModelForm):
    input = _amount("input")
    cached_input = _amount("cached_input")
    cache_write = _amount("cache_write")
    cache_write_1h = _amount("cache_write_1h")
    output = _amount("output")
    reasoning = _amount("reasoning")
    audio_input = _amount("audio_input")
    cached_audio = _amount("cached_audio")
    audio_output = _amount("audio_output")
    image_input = _amount("image_input")
    cached_image = _amount("cached_image")
    image_output = _amount("image_output")
    requests = _amount("requests")
    seconds = _amount("seconds")
    searches = _amount("searches")
    characters = _amount("characters")
    tiers = ScaleField(
        services=False,
        label="Long prompts",
        help_text="One a line, for the whole answer from so many input tokens on. above 200000: input 6, output 22.5",
    )
    services = ScaleField(
        services=True,
        label="Service tiers",
        help_text="One a line. batch: 0.5, or priority: input 5, output 30. Those not named cost the standard.",
    )

    class Meta:
        model = Price
        fields = (*WHOSE, "effective_from", *AMOUNTS, *SCALES, "source", "note")
        widgets = {"source": forms.Textarea(attrs={"rows": 2}), "note": forms.Textarea(attrs={"rows": 2})}


@admin.register(Price)
class PriceAdmin(ModelAdmin):
    form = PriceForm
    list_display = (
        "model",
        "for_whom",
        "in_",
        "cached",
        "out",
        "more",
        "state",
        "begins",
        "origin",
        "versions",
        "supersede",
    )
    list_filter = (StateFilter, "kind", "provider", "origin")
    list_fullwidth = True
    search_fields = ("model", "provider", "kind", "source", "note")
    actions = ("approve",)
    date_hierarchy = None
    fieldsets = (
        ("Whose price", {"fields": ("model", ("provider", "kind"), "effective_from")}),
        (
            "US dollars a million units",
            {
                "fields": (
                    ("input", "output"),
                    ("cached_input", "reasoning"),
                    ("cache_write", "cache_write_1h"),
                    ("audio_input", "audio_output", "cached_audio"),
                    ("image_input", "image_output", "cached_image"),
                    ("requests", "seconds", "searches", "characters"),
                )
            },
        ),
        ("Long prompts and service tiers", {"fields": SCALES}),
        ("Where it comes from", {"fields": ("source", "note")}),
    )
    shown_fieldsets = (
        ("Whose price", {"fields": ("model", ("provider", "kind"), ("effective_from", "state"), "supersede")}),
        ("US dollars a million units", {"fields": ("amounts", "scales")}),
        ("All versions", {"fields": ("history",)}),
        ("Where it comes from", {"fields": ("origin", "source", "note", ("created_at", "created_by"), "approved")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return marked(super().get_queryset(request)).order_by("model", "provider", "kind", F("effective_from").desc())

    def get_urls(self) -> list[URLPattern]:
        lists, queue = (
            self.admin_site.admin_view(partial(each.page, self.admin_site)) for each in (pricelists, waiting)
        )
        own = [
            path("lists/", lists, name="accounts_price_lists"),
            path("waiting/", queue, name="accounts_price_waiting"),
        ]
        return [*own, *super().get_urls()]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets if obj is None else self.shown_fieldsets

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Prefill from an existing version, `?from=ID`, or for a model, `?model=M&provider=P&since=DATE`.

        A new version takes effect now, unless `since` or another date is entered.
        """
        text = request.GET.get("from", "")
        former = Price.objects.filter(pk=int(text)).first() if text.isdecimal() and len(text) < 18 else None
        copied = {name: getattr(former, name) for name in (*WHOSE, *AMOUNTS, *SCALES)} if former else {}
        given = {name: request.GET[name][:200] for name in WHOSE if name in request.GET}
        since = parse_date(request.GET.get("since", "")[:10]) if former is None else None
        now = timezone.now().replace(second=0, microsecond=0)
        begins = timezone.make_aware(datetime.combine(since, time.min)) if since else now
        return {"effective_from": begins, **copied, **given}

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A planned version may go, unless a second person has approved it: then a new version says otherwise."""
        planned = obj is not None and obj.effective_from > timezone.now() and not settings.PRICE_APPROVAL
        unused = obj is None or obj.approved_at is None or planned
        return unused and super().has_delete_permission(request, obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found = super().get_actions(request)
        found.pop("delete_selected", None)  # it would not ask about each date
        if not Price.objects.filter(approved_at__isnull=True).exists():
            found.pop("approve", None)
        return found

    @admin.action(description="Approve the selected versions", permissions=["add"])
    def approve(self, request: HttpRequest, versions: QuerySet[Price]) -> None:
        approved = 0
        for price in versions:
            try:
                prices.approve(price, request.user.get_username())
            except prices.NotApproved as error:
                messages.error(request, str(error))
            else:
                self.log_change(request, price, "Approved")
                approved += 1
        if approved:
            messages.success(request, f"Approved {approved} versions.")

    def save_model(self, request: HttpRequest, obj: Price, form: Any, change: bool) -> None:
        obj.created_by = request.user.get_username()
        super().save_model(request, obj, form, change)
        for doubt in prices.doubts(obj):
            messages.warning(request, doubt)
        if obj.approved_at is None:
            messages.info(request, "It waits: calls are priced by it once somebody else has approved it.")
        elif _awaited(obj):
            words = 'Calls wait for a price of this model: <a href="{}"><u>see what they come to</u></a>.'
            messages.info(request, format_html(words, reverse("admin:accounts_price_waiting")))

    @admin.display(description="For")
    def for_whom(self, price: Price) -> str:
        return price.provider or price.kind or "any provider"

    @badge("State", {IN_FORCE: "success", PLANNED: "info", WAITING: "warning", SUPERSEDED: ""})
    def state(self, price: Any) -> str:
        return state_of(price)

    @admin.display(description="Input", ordering="input")
    def in_(self, price: Price) -> str:
        return _usd(price.input)

    @admin.display(description="Cached", ordering="cached_input")
    def cached(self, price: Price) -> str:
        return _usd(price.cached_input)

    @admin.display(description="Output", ordering="output")
    def out(self, price: Price) -> str:
        return _usd(price.output)

    @admin.display(description="Takes effect", ordering="effective_from")
    def begins(self, price: Price) -> str:
        return f"{timezone.localtime(price.effective_from):%Y-%m-%d %H:%M}"

    @admin.display(description="Also")
    def more(self, price: Any) -> str:
        other = [name for name in AMOUNTS if name not in SHOWN and getattr(price, name) is not None]
        parts = [f"{len(other)} more classes" if len(other) > 1 else "1 more class"] if other else []
        parts += ["long prompts"] if price.tiers else []
        return ", ".join([*parts, *price.services, *(["a planned change"] if price.changes else [])])

    @admin.display(description="History")
    def versions(self, price: Price) -> SafeString:
        return format_html('<a class="text-link" href="{}">Versions</a>', history_address(price))

    @admin.display(description="Versions")
    def history(self, price: Price) -> SafeString:
        return history(price)

    @admin.display(description="Amounts")
    def amounts(self, price: Price) -> SafeString:
        rows = [(name.replace("_", " "), _usd(getattr(price, name), WITHOUT.get(name, "none"))) for name in AMOUNTS]
        return format_html(
            '<table class="ql-table">{}</table>',
            format_html_join("", "<tr><th>{}</th><td>{}</td></tr>", rows),
        )

    @admin.display(description="Approved")
    def approved(self, price: Price) -> str:
        if price.approved_at is None:
            return "not yet: somebody else than its author has to"
        when = timezone.localtime(price.approved_at)
        return f"{when:%Y-%m-%d %H:%M}" + (f" by {price.approved_by}" if price.approved_by else "")

    @admin.display(description="Tiers")
    def scales(self, price: Price) -> SafeString | str:
        lines = [scales.write_tiers(scales.tiers_of(price.tiers))]
        lines.append(scales.write_services(scales.services_of(price.services)))
        written = "\n".join(line for line in lines if line)
        return format_html("<pre>{}</pre>", written) if written else "none"

    @admin.display(description="To change it")
    def supersede(self, price: Price) -> SafeString:
        address = f"{reverse('admin:accounts_price_add')}?from={price.pk}"
        return format_html('<a class="text-link" href="{}">New version</a>', address)


def _usd(amount: int | None, empty: str = "-") -> str:
    return empty if amount is None else short_usd(amount)


def _awaited(price: Price) -> bool:
    """Whether calls were recorded without a price that this one may be for."""
    begins = price.model.removesuffix("*")
    whose = Q(model=begins) if begins == price.model else Q(model__startswith=begins)
    if price.provider:
        whose &= Q(provider=price.provider)
    return DailyTotal.objects.filter(whose, unpriced__gt=F("repriced")).exists()
