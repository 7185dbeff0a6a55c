"""API keys in the admin: made with their secret shown once, changed, switched off; never deleted."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from accounts.admin.base import ModelAdmin, badge
from accounts.admin.careful import CarefulForm
from accounts.admin.fields import LinesField, UsdField, short_usd
from accounts.keys import Minted, mint
from accounts.models import ApiKey
from accounts.portal.spend import this_month
from accounts.store import budgets, keys

LIVE, OFF, EXPIRED, TEAM_OFF = "active", "disabled", "expired", "team disabled"


class KeyForm(CarefulForm):
    models = LinesField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Names or patterns with one *, one a line. Empty allows all.",
    )
    monthly_budget_nano = UsdField(
        required=False, label="Monthly budget", help_text="US dollars a calendar month. Empty: no budget of its own."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            self.initial["monthly_budget_nano"] = self.instance.monthly_budget_nano

    class Meta:
        model = ApiKey
        fields = ("team", "label", "owner", "models", "monthly_budget_nano", "expires_at", "disabled")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        team, label = cleaned.get("team"), cleaned.get("label")
        # Two live keys of one name cannot be told apart on a bill; it also makes sending the form twice harmless.
        if self.instance.pk is None and team and ApiKey.objects.filter(team=team, label=label, disabled=False).exists():
            self.add_error("label", f"Team {team} has a live key of this name; disable it or choose another name.")
        return cleaned


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):
    form = KeyForm
    list_display = ("label", "shown_key", "team", "owner", "spent", "state", "expires_at", "last_used_at")
    list_filter = ("disabled", "team")
    list_select_related = ("team",)
    search_fields = ("label", "owner", "id8", "team__name")
    readonly_fields = (
        "shown_key",
        "state",
        "spent",
        "created_at",
        "created_by",
        "last_used_at",
        "disabled_at",
        "disabled_by",
    )
    actions = ("disable", "enable")
    add_fieldsets = (
        (None, {"fields": (("team", "label"), "owner")}),
        ("What it permits", {"fields": ("models", "monthly_budget_nano", "expires_at")}),
    )
    fieldsets = (
        (None, {"fields": ("shown_key", "state", ("team", "label"), "owner")}),
        ("What it permits", {"fields": ("models", ("monthly_budget_nano", "spent"), "expires_at", "disabled")}),
        ("History", {"fields": (("created_at", "created_by"), ("disabled_at", "disabled_by"), "last_used_at")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets if obj is not None else self.add_fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # A key stays with its team: its records are that team's.
        return (*self.readonly_fields, "team") if obj is not None else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if not change:
            request._minted = minted = mint()  # type: ignore[attr-defined]  # lives as long as this request
            obj.id8, obj.digest, obj.last4 = minted.id, minted.digest, minted.last4
            obj.created_by = request.user.get_username()
        elif "disabled" in form.changed_data:
            _mark(obj, obj.disabled, request)
        super().save_model(request, obj, form, change)
        for doubt in keys.doubts(obj.models, obj.team):
            messages.warning(request, doubt)
        if "monthly_budget_nano" in form.changed_data:
            amount = form.cleaned_data["monthly_budget_nano"]
            budgets.set_monthly(obj, amount, by=request.user.get_username())

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """Answer the form itself with the secret: it is in no message, no session and no history."""
        minted: Minted = request._minted  # type: ignore[attr-defined]
        context = {
            **self.admin_site.each_context(request),
            "title": "The key is shown this once",
            "opts": self.opts,
            "key": obj,
            "secret": minted.text,
            "example": _example(request, obj, minted.text),
        }
        response = TemplateResponse(request, "admin/accounts/apikey/made.html", context)
        add_never_cache_headers(response)
        return response

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page = super().get_changelist_instance(request)
        _look_up_spending(page.result_list)
        return page

    @admin.display(description="Key", ordering="id8")
    def shown_key(self, key: ApiKey) -> str:
        return key.shown

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).prefetch_related("budgets")
        return rows

    @admin.display(description="Spent this month")
    def spent(self, key: Any) -> str:
        if not hasattr(key, "spent_nano"):
            _look_up_spending([key])
        budget = key.monthly_budget_nano
        return f"${short_usd(key.spent_nano)}" + ("" if budget is None else f" of ${short_usd(budget)}")

    @badge("State", {LIVE: "success", OFF: "danger", EXPIRED: "warning", TEAM_OFF: "danger"})
    def state(self, key: ApiKey) -> str:
        return state_of(key)

    @admin.action(description="Disable the selected keys", permissions=["change"])
    def disable(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        self._switch(request, keys, True)

    @admin.action(description="Enable the selected keys", permissions=["change"])
    def enable(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        self._switch(request, keys, False)

    @transaction.atomic
    def _switch(self, request: HttpRequest, keys: QuerySet[ApiKey], disabled: bool) -> None:
        word = "Disabled" if disabled else "Enabled"
        changing = list(keys.exclude(disabled=disabled))
        for key in changing:
            _mark(key, disabled, request)
            key.save()  # row by row: `updated_at` is what the gateway looks at
            self.log_change(request, key, f"{word} in bulk")
        messages.success(request, f"{word} {len(changing)} keys. It counts within a second.")


def state_of(key: ApiKey) -> str:
    """What a caller with this key meets now."""
    if key.disabled:
        return OFF
    if key.team.disabled:
        return TEAM_OFF
    return EXPIRED if key.expires_at is not None and key.expires_at <= timezone.now() else LIVE


def _mark(key: ApiKey, disabled: bool, request: HttpRequest) -> None:
    key.disabled = disabled
    key.disabled_at = timezone.now() if disabled else None
    key.disabled_by = request.user.get_username() if disabled else ""


def _example(request: HttpRequest, key: ApiKey, secret: str) -> str:
    model = next((name for name in key.models if "*" not in name), "MODEL")
    address = request.build_absolute_uri("/v1/chat/completions")
    return (
        f"curl {address} \\\n  -H 'Authorization: Bearer {secret}' \\\n  -H 'Content-Type: application/json' \\\n"
        f"""  -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'"""
    )


def _look_up_spending(keys: Iterable[Any]) -> None:
    """Note on each key what its calls cost since the first of the month."""
    rows = list(keys)
    cost = this_month([key.id8 for key in rows])
    for key in rows:
        key.spent_nano = cost.get(key.id8, 0)
