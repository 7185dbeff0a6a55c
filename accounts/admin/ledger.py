"""The rest of the ledger in the admin: adjustments, daily totals, quarantine. All of it is only looked at."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from accounts.admin.base import ReadOnlyAdmin, badge
from accounts.admin.fields import shown
from accounts.admin.paging import InfinitePaginator, seen
from accounts.admin.records import attribution_of
from accounts.models import Adjustment, DailyTotal, LedgerDay, LedgerQuarantine


@admin.register(Adjustment)
class AdjustmentAdmin(ReadOnlyAdmin):
    list_display = ("at", "request_id", "author", "reason", "change", "attribution", "external_ref")
    list_filter = ("at",)
    search_fields = ("author", "reason", "external_ref")
    search_help_text = "Author, reason, reference, or the whole id of a request"
    ordering = ("-id",)
    fields = ("request", "at", "day", "author", "reason", "change", "attribution", "external_ref")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        found, duplicates = super().get_search_results(request, queryset, search_term)
        exact = Q(request_id=search_term.replace("\0", "").strip())
        return (found | queryset.filter(exact) if search_term.strip() else found), duplicates

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("change", "attribution")

    @admin.display(description="Change")
    def change(self, adjustment: Adjustment) -> str:
        return shown(adjustment.cost_nano_delta)

    @admin.display(description="Attribution")
    def attribution(self, adjustment: Adjustment) -> str:
        return attribution_of(adjustment)


@admin.register(DailyTotal)
class DailyTotalAdmin(ReadOnlyAdmin):
    paginator = InfinitePaginator
    show_full_result_count = False
    list_display = (
        "day",
        "team",
        "key_id",
        "provider",
        "model",
        "requests",
        "failed",
        "unpriced",
        "cost",
        "adjusted",
    )
    list_filter = ("day", seen("team"), seen("provider"), seen("model"))
    list_fullwidth = True
    sortable_by = ("day",)
    ordering = ("-day", "-id")
    fields = (
        *DailyTotal.DIMENSIONS,
        *(n for n in DailyTotal.SUMS if not n.endswith("_nano")),
        "cost",
        "adjusted",
    )
    readonly_fields = ("cost", "adjusted", "saved")

    @admin.display(description="Cost")
    def cost(self, total: DailyTotal) -> str:
        return shown(total.cost_nano)

    @admin.display(description="Adjustments")
    def adjusted(self, total: DailyTotal) -> str:
        return shown(total.adjusted_nano)

    @admin.display(description="Saved by the cache")
    def saved(self, total: DailyTotal) -> str:
        return shown(total.saved_nano)


@admin.register(LedgerDay)
class LedgerDayAdmin(ReadOnlyAdmin):
    list_display = ("day", "requests", "late", "outcome", "verified_at", "pruned", "head")
    list_filter = ("sealed_at", "verified_at")
    ordering = ("-day",)
    fields = (
        ("day", "outcome"),
        ("requests", "late"),
        ("adjustments", "links"),
        "head",
        ("sealed_at", "verified_at"),
        "faults",
        ("pruned_at", "pruned"),
        "totals_digest",
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("outcome", "faults")

    @admin.display(description="Faults")
    def faults(self, closed: LedgerDay) -> str:
        more = closed.problem_count - len(closed.problems)
        return "\n".join([*closed.problems, *([f"and {more} more"] if more > 0 else [])]) or "none"

    @badge("Found", {"sound": "success", "faulty": "danger", "not yet": "info"})
    def outcome(self, closed: LedgerDay) -> str:
        if closed.verified_at is None:
            return "not yet"
        return "faulty" if closed.problem_count else "sound"


@admin.register(LedgerQuarantine)
class QuarantineAdmin(ReadOnlyAdmin):
    list_display = ("at", "request_id", "error", "cost")
    search_fields = ("request_id", "error")
    fields = ("at", "request_id", "error", "cost", "raw")
    readonly_fields = ("cost",)

    @admin.display(description="Cost")
    def cost(self, row: LedgerQuarantine) -> str:
        return shown(row.cost_nano, "unknown")
