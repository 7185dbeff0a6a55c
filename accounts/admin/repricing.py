"""A period reckoned again with today's prices: finance asks, sees what would change, and books it or leaves it."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from accounts.admin.base import ModelAdmin, ModelForm, badge
from accounts.admin.fields import shown
from accounts.models import Repricing
from accounts.store import reprice
from accounts.store.reprice import Wish

State = Repricing.State
COLOURS: dict[str, str] = {
    State.PREVIEWING: "info",
    State.READY: "warning",
    State.APPLYING: "info",
    State.DONE: "success",
    State.CANCELLED: "",
}
MOST = 50  # models shown


class WishForm(ModelForm):
    reason = forms.CharField(widget=forms.Textarea(attrs={"rows": 2}), help_text="Stands on each adjustment.")

    class Meta:
        model = Repricing
        fields = ("since", "until", "provider", "model", "unpriced_only", "reason")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and since >= until:
            self.add_error("until", "The period ends before it begins.")
        if "*" in cleaned.get("model", "")[:-1]:
            self.add_error("model", "A * may stand only at the end.")
        return cleaned


@admin.register(Repricing)
class RepricingAdmin(ModelAdmin):
    form = WishForm
    actions = None
    list_display = ("created_at", "what", "standing", "author", "found", "amount", "booked", "progress")
    list_filter = ("state",)
    ordering = ("-id",)
    asked = ((None, {"fields": ("since", "until", ("provider", "model"), "unpriced_only", "reason")}),)
    found_fieldsets = (
        (
            None,
            {
                "fields": (
                    ("since", "until"),
                    ("provider", "model"),
                    ("unpriced_only", "reason"),
                    ("author", "applied_by"),
                    ("standing", "progress"),
                    ("found", "amount"),
                    ("looked", "waiting"),
                    ("booked", "booked_amount"),
                    "finished_at",
                )
            },
        ),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.asked if obj is None else self.found_fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("standing", "progress", "amount", "booked_amount")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """To reprice is to book adjustments, so that is the permission it takes."""
        return bool(request.user.has_perm("accounts.add_adjustment"))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("accounts.view_adjustment")) or self.has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Repricing, form: Any, change: bool) -> None:
        wish = Wish(obj.since, obj.until, obj.provider, obj.model, obj.unpriced_only)
        made = reprice.ask(wish, author=request.user.get_username(), reason=obj.reason)
        obj.pk, obj.expected, obj.author = made.pk, made.expected, made.author

    def response_add(self, request: HttpRequest, obj: Repricing, *args: Any, **kwargs: Any) -> HttpResponse:
        return HttpResponseRedirect(_page_of(obj.pk))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        job = self.get_object(request, object_id)
        if job is not None and request.method == "POST" and self.has_add_permission(request):
            self._step(request, job)
            return HttpResponseRedirect(_page_of(job.pk))
        context = {} if job is None else {"job": job, "models": _models(job), "books": self.has_add_permission(request)}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **context})

    def _step(self, request: HttpRequest, job: Repricing) -> None:
        if request.POST.get("do") == "apply" and reprice.apply(job.pk, by=request.user.get_username()):
            messages.success(request, "The adjustments are being booked; this page says how far it is.")
        elif request.POST.get("do") == "stop" and reprice.cancel(job.pk):
            messages.success(request, "Stopped. What is booked already stays booked.")
        else:
            messages.error(request, "Somebody was faster: look at where it stands now.")

    @admin.display(description="What")
    def what(self, job: Repricing) -> str:
        return str(job)

    @badge("State", COLOURS, ordering="state")
    def standing(self, job: Repricing) -> str:
        return job.state

    @admin.display(description="Would change by")
    def amount(self, job: Repricing) -> str:
        return shown(job.delta_nano)

    @admin.display(description="Booked amount")
    def booked_amount(self, job: Repricing) -> str:
        return shown(job.booked_nano)

    @admin.display(description="Looked at")
    def progress(self, job: Repricing) -> str:
        return f"{job.percent} %"


def _models(job: Repricing) -> list[tuple[str, int, str]]:
    """The models that change most: name, how many requests, by how much."""
    rows = sorted(job.by_model.items(), key=lambda each: -abs(each[1][1]))
    return [(name, count, shown(delta)) for name, (count, delta) in rows[:MOST]]


def _page_of(id: int) -> str:
    return reverse("admin:accounts_repricing_change", args=[id])
