"""Request records in the admin: found quickly among millions, corrected by an adjustment, never changed."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from accounts.admin.base import BaseInlineFormSet, ModelAdmin, TabularInline, badge
from accounts.admin.correction import CorrectionForm, book, stands
from accounts.admin.fields import shown
from accounts.admin.paging import InfinitePaginator, Recently, seen, within
from accounts.keys import ID
from accounts.models import Adjustment, AttemptRecord, RequestRecord
from accounts.prices import TOKENS_IN, TOKENS_OUT, UNITS
from accounts.store.adjust import AdjustmentRefused

COLOURS = {"settled": "success", "cached": "info", "interrupted": "warning", "failed": "danger"}


class LookedFormSet(BaseInlineFormSet):
    """Takes nothing of what is sent: not the rows' keys either, which are of two columns and cannot be read back."""

    def __init__(self, data: Any = None, files: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def is_valid(self) -> bool:
        return True

    def save(self, commit: bool = True) -> list[Any]:
        return []


class Looked(TabularInline):
    """Rows under a record that are only looked at."""

    formset = LookedFormSet
    extra = 0
    max_num = 0
    can_delete = False
    hide_title = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AttemptInline(Looked):
    model = AttemptRecord
    verbose_name_plural = "Attempts"
    fields = ("number", "target", "status", "http", "error", "units", "usage_source", "cost", "took")
    readonly_fields = fields

    @admin.display(description="HTTP status")
    def http(self, attempt: AttemptRecord) -> str:
        return str(attempt.http_status or "none")

    @admin.display(description="Units")
    def units(self, attempt: AttemptRecord) -> str:
        return units_of(attempt, attempt.amounts)

    @admin.display(description="Cost")
    def cost(self, attempt: AttemptRecord) -> str:
        tier = f", {attempt.service_tier}" if attempt.service_tier else ""
        return f"{shown(attempt.cost_nano)} ({attempt.cost_status}{tier})"

    @admin.display(description="Took")
    def took(self, attempt: AttemptRecord) -> str:
        return milliseconds(attempt.latency_us)


class AdjustmentInline(Looked):
    model = Adjustment
    verbose_name_plural = "Adjustments beside it"
    fields = ("at", "author", "reason", "change", "attribution", "external_ref")
    readonly_fields = fields

    @admin.display(description="Change")
    def change(self, adjustment: Adjustment) -> str:
        return shown(adjustment.cost_nano_delta)

    @admin.display(description="Attribution")
    def attribution(self, adjustment: Adjustment) -> str:
        return attribution_of(adjustment)


@admin.register(RequestRecord)
class RequestRecordAdmin(ModelAdmin):
    form = CorrectionForm
    inlines = (AttemptInline, AdjustmentInline)
    paginator = InfinitePaginator
    show_full_result_count = False
    list_display = ("at", "outcome", "team", "key_label", "model_asked", "served", "tokens", "cost", "took")
    list_filter = (Recently, "status", seen("team"), seen("provider"), seen("model"))
    sortable_by = ("at",)
    list_fullwidth = True
    actions = None
    search_fields = ("id",)  # shows the box; what is looked for stands in `get_search_results`
    search_help_text = "Id of a request, the caller's own id, or a key's id, exactly"
    readonly_fields = (
        "id",
        "client_request_id",
        "at",
        "day",
        "outcome",
        "http",
        "error",
        "team",
        "cost_centre",
        "owner",
        "key_id",
        "key_label",
        "surface",
        "route",
        "model_asked",
        "served",
        "revision",
        "stream",
        "client_gone",
        "units",
        "usage_source",
        "cost_status",
        "original",
        "adjusted",
        "effective",
        "saved",
        "took",
        "first_token",
        "tags_shown",
    )
    record_fieldsets = (
        (None, {"fields": (("id", "client_request_id"), ("at", "day"), ("outcome", "http"), "error")}),
        (
            "Who pays, as it was recorded",
            {"fields": (("team", "cost_centre"), ("owner", "key_label"), "key_id")},
        ),
        (
            "What was asked",
            {"fields": (("model_asked", "served"), ("route", "surface"), ("revision", "stream"), "tags_shown")},
        ),
        (
            "Money",
            {"fields": (("original", "cost_status"), ("adjusted", "effective"), ("units", "usage_source"), "saved")},
        ),
        ("Time", {"fields": (("took", "first_token"), "client_gone")}),
    )
    correction_fieldset = (
        "Correct it",
        {
            "fields": (("to_amount", "to_team"), ("to_cost_centre", "to_owner"), "reason", "external_ref", "seen"),
            "description": "The record stays as it is; the difference is booked beside it, with your name and reason.",
        },
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        corrects = self.has_change_permission(request, obj)
        return (*self.record_fieldsets, self.correction_fieldset) if corrects else self.record_fieldsets

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return within(rows, request.GET).prefetch_related("adjustments")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.replace("\0", "").strip()
        if not term:
            return queryset, False
        if len(term) < 3:
            messages.warning(request, "A search needs at least 3 characters.")
            return queryset.none(), False
        # One of the three at a time, so that the database takes its index instead of walking back through time.
        of_key = queryset.filter(key_id=term)
        if len(term) == ID and of_key.exists():
            return of_key, False
        return queryset.filter(Q(id=term) | Q(client_request_id=term)), False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup in {"since", "status__exact", "team", "provider", "model"}  # other columns have no index

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """To change a record is to book an adjustment, so that is the permission it takes."""
        return bool(request.user.has_perm("accounts.add_adjustment"))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("accounts.view_requestrecord")) or self.has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: RequestRecord, form: Any, change: bool) -> None:
        book(obj, form, request.user.get_username())

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except AdjustmentRefused as refused:
            messages.error(request, str(refused))
            return HttpResponseRedirect(request.get_full_path())

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        words = [name.removesuffix("_nano").replace("_", " ") for name in form.corrections()]
        return f"Booked an adjustment of {', '.join(words)}: {form.cleaned_data['reason']}"

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().render_change_form(request, {**context, "show_save_and_continue": False}, *args, **kwargs)

    def response_change(self, request: HttpRequest, obj: RequestRecord) -> HttpResponse:
        messages.success(request, "The adjustment is booked beside the record, which stays as it is.")
        return HttpResponseRedirect(reverse("admin:accounts_requestrecord_change", args=[obj.pk]))

    @badge("Status", COLOURS, ordering="status")
    def outcome(self, record: RequestRecord) -> str:
        return record.status

    @admin.display(description="HTTP status")
    def http(self, record: RequestRecord) -> str:
        return str(record.http_status or "none")

    @admin.display(description="Served by")
    def served(self, record: RequestRecord) -> str:
        return "the cache" if record.cached else f"{record.provider}/{record.model}"

    @admin.display(description="Tokens in / out")
    def tokens(self, record: RequestRecord) -> str:
        inside, outside = (sum(getattr(record, unit) for unit in units) for units in (TOKENS_IN, TOKENS_OUT))
        return f"{inside:,} / {outside:,}"

    @admin.display(description="Cost")
    def cost(self, record: RequestRecord) -> str:
        deltas = [adjustment.cost_nano_delta for adjustment in record.adjustments.all()]
        if any(deltas):
            return f"{shown(record.cost_nano + sum(deltas))} adjusted"
        return record.cost_status if record.cost_status == "unpriced" else shown(record.cost_nano)

    @admin.display(description="Tags")
    def tags_shown(self, record: RequestRecord) -> str:
        return ", ".join(f"{name}={value}" for name, value in record.tags.items()) or "none"

    @admin.display(description="Took")
    def took(self, record: RequestRecord) -> str:
        return milliseconds(record.latency_us)

    @admin.display(description="First token after")
    def first_token(self, record: RequestRecord) -> str:
        return milliseconds(record.first_token_us)

    @admin.display(description="Units billed")
    def units(self, record: RequestRecord) -> str:
        return units_of(record)

    @admin.display(description="Original amount")
    def original(self, record: RequestRecord) -> str:
        return shown(record.cost_nano)

    @admin.display(description="Adjustments")
    def adjusted(self, record: RequestRecord) -> str:
        return shown(stands(record).cost_nano - record.cost_nano)

    @admin.display(description="Effective amount")
    def effective(self, record: RequestRecord) -> str:
        return shown(stands(record).cost_nano)

    @admin.display(description="Saved by the cache")
    def saved(self, record: RequestRecord) -> str:
        return f"{shown(record.saved_nano)} ({record.tokens_saved:,} tokens)"


def units_of(row: RequestRecord | AttemptRecord, amounts: Mapping[str, int] = MappingProxyType({})) -> str:
    """Return what was used by class, each with what it cost where `amounts` say so."""
    counted = [(name, getattr(row, name)) for name in UNITS if getattr(row, name, 0)]
    costs = {name: f" = {shown(amount)}" for name, amount in amounts.items()}
    return ", ".join(f"{name.replace('_', ' ')} {count:,}{costs.get(name, '')}" for name, count in counted) or "none"


def attribution_of(adjustment: Adjustment) -> str:
    moved = [(name, getattr(adjustment, name)) for name in ("team", "cost_centre", "owner")]
    words = [f"{name.replace('_', ' ')} {value or 'empty'}" for name, value in moved if value is not None]
    return ", ".join(words) or "unchanged"


def milliseconds(microseconds: int | None) -> str:
    return "unknown" if microseconds is None else f"{microseconds / 1000:,.1f} ms"
