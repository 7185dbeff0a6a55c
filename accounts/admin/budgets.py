"""Budgets in the admin: what is spent, held and left of each, and the form that sets them."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin.base import ModelAdmin, ReadOnlyAdmin, badge
from accounts.admin.careful import CarefulForm
from accounts.admin.fields import UsdField, short_usd
from accounts.models import Budget, BudgetAlert
from accounts.models.budgets import usual_thresholds
from accounts.store.budgets import doubts
from accounts.store.standing import Standing, standings

HARD, SOFT, OFF = "hard", "soft", "off"
SCOPE_HINT = "A team, a key, a route, or a team and a route, or a key and a route. It cannot be changed later."
MOST_THRESHOLDS, MOST_PERCENT = 10, 1000


class PercentsField(forms.CharField):
    """Percentages with commas between, kept as a sorted list."""

    def to_python(self, value: Any) -> Any:
        words = (super().to_python(value) or "").replace("%", " ").replace(",", " ").split()
        if not all(word.isascii() and word.isdigit() and 0 < int(word) <= MOST_PERCENT for word in words):
            raise ValidationError(f"Whole percentages from 1 to {MOST_PERCENT}, such as 50, 80, 100.")
        if len(words) > MOST_THRESHOLDS:
            raise ValidationError(f"At most {MOST_THRESHOLDS} of them.")
        return sorted(set(map(int, words)))

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != (initial or []))
        except ValidationError:
            return True


class BudgetForm(CarefulForm):
    amount_nano = UsdField(label="Amount", help_text="US dollars in each window.")
    thresholds = PercentsField(
        required=False,
        initial=usual_thresholds,
        label="Alerts at",
        help_text="Percent of the amount, such as 50, 80, 100. Empty: no alerts.",
    )

    class Meta:
        model = Budget
        fields = ("team", "key", "route", "window", "amount_nano", "hard", "thresholds", "active", "note")


@admin.register(Budget)
class BudgetAdmin(ModelAdmin):
    form = BudgetForm
    list_display = ("scope_shown", "window_shown", "amount", "used", "left", "begins_anew", "state")
    list_filter = ("window", "hard", "active", "team")
    list_select_related = ("team", "key__team")
    search_fields = ("team__name", "key__label", "key__id8", "route")
    autocomplete_fields = ("team", "key")
    readonly_fields = ("used", "held", "left", "begins_anew", "created_at", "created_by", "updated_at", "updated_by")
    add_fieldsets = (
        ("What it is on", {"fields": (("team", "key"), "route", "window"), "description": SCOPE_HINT}),
        ("How much", {"fields": ("amount_nano", "hard", "thresholds", "active", "note")}),
    )
    fieldsets = (
        ("What it is on", {"fields": (("team", "key"), "route", "window")}),
        ("How it stands", {"fields": ("used", ("held", "left"), "begins_anew")}),
        ("How much", {"fields": ("amount_nano", "hard", "thresholds", "active", "note")}),
        ("History", {"fields": (("created_at", "created_by"), ("updated_at", "updated_by"))}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets if obj is not None else self.add_fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # What is leased and reserved now belongs to this scope and window: another one is another budget.
        return (*self.readonly_fields, "team", "key", "route", "window") if obj is not None else ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).select_related("team", "key__team")
        return rows

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Learn how all budgets of the page stand at once, not one after the other."""
        page = super().get_changelist_instance(request)
        for standing in standings(page.result_list):
            standing.budget.stands = standing  # type: ignore[attr-defined]
        return page

    def save_model(self, request: HttpRequest, obj: Budget, form: Any, change: bool) -> None:
        name = request.user.get_username()
        obj.created_by, obj.updated_by = obj.created_by or name, name
        super().save_model(request, obj, form, change)
        messages.info(request, "It is in force within a second.")
        for doubt in doubts(obj):
            messages.warning(request, doubt)

    @admin.display(description="On", ordering="team__name")
    def scope_shown(self, budget: Budget) -> str:
        return budget.scope

    @admin.display(description="For", ordering="window")
    def window_shown(self, budget: Budget) -> str:
        return budget.get_window_display()

    @admin.display(description="Amount", ordering="amount_nano")
    def amount(self, budget: Budget) -> str:
        return f"${short_usd(budget.amount_nano)}"

    @admin.display(description="Spent")
    def used(self, budget: Budget) -> SafeString:
        return bar(_standing(budget))

    @admin.display(description="Held for calls and batches under way")
    def held(self, budget: Budget) -> str:
        return f"${short_usd(_standing(budget).held_nano)}"

    @admin.display(description="Left")
    def left(self, budget: Budget) -> str:
        return f"${short_usd(_standing(budget).left_nano)}"

    @admin.display(description="Begins anew")
    def begins_anew(self, budget: Budget) -> str:
        resets = _standing(budget).resets_at
        return "never" if resets is None else date_format(resets, "j M Y, H:i")

    @badge("State", {HARD: "success", SOFT: "info", OFF: "danger"}, ordering="hard")
    def state(self, budget: Budget) -> str:
        return (HARD if budget.hard else SOFT) if budget.active else OFF


@admin.register(BudgetAlert)
class BudgetAlertAdmin(ReadOnlyAdmin):
    list_display = ("budget", "percent_shown", "spent", "amount", "at", "state_shown", "sent_at", "trouble")
    list_filter = ("state",)
    list_select_related = ("budget__team", "budget__key")
    fields = ("budget", "first", "percent", "spent", "amount", "at", "state", "tries", "told", "sent_at", "trouble")
    readonly_fields = ("spent", "amount")

    @admin.display(description="Reached", ordering="percent")
    def percent_shown(self, alert: BudgetAlert) -> str:
        return f"{alert.percent} %"

    @admin.display(description="Spent then")
    def spent(self, alert: BudgetAlert) -> str:
        return f"${short_usd(alert.spent_nano)}"

    @admin.display(description="Of")
    def amount(self, alert: BudgetAlert) -> str:
        return f"${short_usd(alert.amount_nano)}"

    @badge("State", {"sent": "success", "waiting": "info", "failed": "danger", "nobody to tell": "warning"})
    def state_shown(self, alert: BudgetAlert) -> str:
        return alert.get_state_display().lower()


def bar(standing: Standing) -> SafeString:
    """A bar of what is spent and, after it, held; the words say the same."""
    amount = standing.limit.amount_nano
    spent = _share(standing.spent_nano, amount)
    held = min(100.0 - spent, _share(standing.held_nano, amount))
    return format_html(
        '<span class="ql-budget">${} <small>({} %)</small><svg class="ql-purse ql-purse-{}" viewBox="0 0 100 6"'
        ' preserveAspectRatio="none" aria-hidden="true"><rect class="ql-spent" width="{}" height="6"/>'
        '<rect class="ql-held" x="{}" width="{}" height="6"/></svg></span>',
        short_usd(standing.spent_nano),
        standing.percent,
        standing.mood or "fine",
        f"{spent:.2f}",
        f"{spent:.2f}",
        f"{held:.2f}",
    )


def _share(part: int, whole: int) -> float:
    return min(100.0, max(0.0, 100 * part / whole)) if whole else 100.0


def _standing(budget: Any) -> Standing:
    """How it stands, read once for each row of a page."""
    if not hasattr(budget, "stands"):
        budget.stands = standings([budget], timezone.now().timestamp())[0]
    found: Standing = budget.stands
    return found
