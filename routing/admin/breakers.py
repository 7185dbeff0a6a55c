"""Breakers in the admin: which targets are in trouble and why, and the hand that opens or closes one."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from routing.admin.base import ModelAdmin, ModelForm, badge
from routing.admin.filters import NotClosed
from routing.models import Breaker

CLOSE, OPEN = "close", "open"
ACTS = ((CLOSE, "Close it: calls go there again"), (OPEN, "Open it: nobody calls it until somebody closes it"))
COLOURS = {"open": "danger", "opened by hand": "danger", "half-open": "warning", "closed": "success"}


class BreakerForm(ModelForm):
    act = forms.ChoiceField(label="What to do", choices=ACTS, initial=OPEN)
    note = forms.CharField(label="Why", max_length=300, help_text="Kept with the breaker, and told to those who ask.")

    class Meta:
        model = Breaker
        fields = ("target", "note")


@admin.register(Breaker)
class BreakerAdmin(ModelAdmin):
    """A hand on a breaker is in force in every process within a second."""

    form = BreakerForm
    actions = None
    list_display = ("target", "now", "why", "since", "rests_until", "author")
    list_filter = (NotClosed, "forced")
    search_fields = ("target",)
    sortable_by = ("target", "since")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = ("target",) if obj is None else ("target", "now", "why", "since", "rests_until", "opened", "author")
        return ((None, {"fields": shown}), ("By hand", {"fields": ("act", "note")}))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("target", "now", "why", "since", "rests_until", "opened", "author")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"act": OPEN, **super().get_changeform_initial_data(request)}

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # to close it is the way

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        opened = form.cleaned_data["act"] == OPEN
        moment = timezone.now()
        obj.state, obj.forced, obj.opened, obj.origin = ("open" if opened else "closed"), opened, 0, ""
        obj.since = obj.until = obj.changed_at = moment
        obj.reason, obj.author, obj.prober = "", request.user.get_username(), ""
        super().save_model(request, obj, form, change)

    @badge("State", COLOURS, ordering="state")
    def now(self, breaker: Breaker) -> str:
        if breaker.forced:
            return "opened by hand"
        if breaker.state == "open" and breaker.until > timezone.now():
            return "open"
        # A wait that a provider asked for, which never counts as an opening, is simply over.
        return "half-open" if breaker.state == "open" and breaker.opened else "closed"

    @admin.display(description="Why")
    def why(self, breaker: Breaker) -> str:
        return breaker.note or breaker.reason or "no reason given"

    @admin.display(description="Rests until", ordering="until")
    def rests_until(self, breaker: Breaker) -> Any:
        return breaker.until if breaker.state != "closed" and not breaker.forced else None
