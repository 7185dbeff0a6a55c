"""Key requests in the admin: read, then approved as asked or lowered, or rejected; never by who asked."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from accounts.admin.base import ModelAdmin, ModelForm, badge
from accounts.admin.fields import LinesField, UsdField, short_usd
from accounts.models import KeyRequest
from accounts.store import requests as steps

State = KeyRequest.State
COLOURS: dict[str, str] = {
    State.PENDING: "warning",
    State.APPROVED: "success",
    State.REVEALED: "success",
    State.REJECTED: "danger",
    State.WITHDRAWN: "",
}

WHO_DECIDES = "Somebody with the role ops decides on it, and nobody on a request of their own."


class DecisionForm(ModelForm):
    """What would be granted, filled with what was asked. The buttons say which decision it is."""

    granted_models = LinesField(
        label="Models", required=False, widget=forms.Textarea(attrs={"rows": 3}), help_text="One a line. Empty: all."
    )
    granted_budget_nano = UsdField(
        label="Monthly budget", required=False, help_text="US dollars a calendar month. Empty: none."
    )
    comment = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 2}), help_text="Needed to reject; the requester reads it."
    )

    class Meta:
        model = KeyRequest
        fields = ("granted_models", "granted_budget_nano", "granted_expires_at", "comment")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.state == State.PENDING:
            asked = self.instance
            self.initial["granted_models"] = asked.models
            self.initial["granted_budget_nano"] = asked.monthly_budget_nano
            self.initial["granted_expires_at"] = asked.expires_at

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not {"_approve", "_reject"} & self.data.keys():
            raise forms.ValidationError("Press Approve or Reject.")
        if "_reject" in self.data and not cleaned.get("comment"):
            self.add_error("comment", "Say why the request is rejected.")
        return cleaned


@admin.register(KeyRequest)
class KeyRequestAdmin(ModelAdmin):
    form = DecisionForm
    list_display = ("name", "team", "requester", "asked_budget", "standing", "created_at", "decided_by")
    list_filter = ("state", "team")
    list_select_related = ("team", "requester", "decided_by")
    search_fields = ("name", "team__name", "requester__username", "purpose")
    actions = None
    warn_unsaved_form = False
    asked = (
        (
            "Asked for",
            {"fields": (("name", "team", "requester"), "purpose", ("asked_models", "asked_budget", "expires_at"))},
        ),
    )
    grant = (
        (
            "Granted, the same or less",
            {"fields": ("granted_models", "granted_budget_nano", "granted_expires_at", "comment")},
        ),
    )
    undecided = (("Decision", {"fields": ("standing",)}),)
    pending = (("Decision", {"fields": ("standing",), "description": WHO_DECIDES}),)
    outcome = (
        (
            "Decision",
            {
                "fields": (
                    ("standing", "decided_by", "decided_at"),
                    ("got_models", "got_budget", "granted_expires_at"),
                    "comment",
                )
            },
        ),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if self._open(request, obj):
            return self.asked + self.grant
        if obj is not None and obj.state == State.PENDING:
            return self.asked + self.pending
        return self.asked + (self.outcome if obj is None or obj.decided_at else self.undecided)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        asked = ("name", "team", "requester", "purpose", "asked_models", "asked_budget", "expires_at")
        decided = ("standing", "decided_by", "decided_at", "got_models", "got_budget")
        return (*asked, *decided)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # people ask on their own page, in their own name

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if not super().has_change_permission(request, obj):
            return False
        return obj is None or (obj.state == State.PENDING and obj.requester_id != request.user.pk)

    def save_model(self, request: HttpRequest, obj: KeyRequest, form: Any, change: bool) -> None:
        """Take the step that the pressed button stands for. Raises Refused."""
        data, by = form.cleaned_data, request.user
        if "_reject" in request.POST:
            steps.reject(obj, by, comment=data["comment"])  # type: ignore[arg-type]
        else:
            steps.approve(
                obj,
                by,  # type: ignore[arg-type]
                models=data["granted_models"],
                monthly_budget_nano=data["granted_budget_nano"],
                expires_at=data["granted_expires_at"],
                comment=data["comment"],
            )

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        return "Rejected" if "_reject" in request.POST else "Approved"

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except steps.Refused as refused:
            messages.error(request, str(refused))
            return HttpResponseRedirect(request.get_full_path())

    def response_change(self, request: HttpRequest, obj: KeyRequest) -> HttpResponse:
        if "_reject" in request.POST:
            messages.success(request, f"Rejected: {obj.name} for {obj.team}.")
        else:
            messages.success(request, f"Approved: {obj.name} for {obj.team}. {obj.requester} can now reveal the key.")
        return self.response_post_save_change(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related("team", "requester", "decided_by")

    @badge("State", COLOURS, ordering="state")
    def standing(self, row: KeyRequest) -> str:
        return row.state

    @admin.display(description="Models")
    def asked_models(self, row: KeyRequest) -> str:
        return ", ".join(row.models) or "all"

    @admin.display(description="Monthly budget", ordering="monthly_budget_nano")
    def asked_budget(self, row: KeyRequest) -> str:
        return _budget(row.monthly_budget_nano)

    @admin.display(description="Models granted")
    def got_models(self, row: KeyRequest) -> str:
        return ", ".join(row.granted_models) or "all"

    @admin.display(description="Budget granted")
    def got_budget(self, row: KeyRequest) -> str:
        return _budget(row.granted_budget_nano)

    def _open(self, request: HttpRequest, obj: Any) -> bool:
        return obj is not None and self.has_change_permission(request, obj)


def _budget(amount: int | None) -> str:
    return "none" if amount is None else f"${short_usd(amount)}"
