"""Actions on many rows at once: each publishes one revision, and none on top of what its author has not seen."""

import json
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from routing import rules, store
from routing.admin.base import ModelAdmin
from routing.diff import changes
from routing.grouped import grouped
from routing.models import Provider, Target

HELD = "routing.seen"  # in the session: what a page of confirmation was shown on

CONFIRMED = ("delete_selected", "set_tier")  # actions with a page of confirmation


def stamp() -> str:
    """What the table is at now, as text."""
    return json.dumps(store.stamp())


class StampedActionForm(ModelAdmin.action_form):  # type: ignore[misc, name-defined]
    """The choice of an action carries what the table was when the list was loaded."""

    stamp = forms.CharField(label="", required=False, widget=forms.HiddenInput, initial=stamp)


class TierForm(forms.Form):
    provider = forms.ModelChoiceField(Provider.objects.none(), empty_label=None, label="Targets at")
    tier = forms.IntegerField(min_value=0, max_value=rules.MAX_TIER, help_text="Lower tiers are tried first.")

    def __init__(self, *args: Any, targets: QuerySet[Target], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        provider: Any = self.fields["provider"]
        provider.queryset = Provider.objects.filter(targets__in=targets).distinct()


class BulkPages(ModelAdmin):
    """Refuses an action on a list, or the page that confirms it, when somebody changed the table since."""

    action_form = StampedActionForm

    def publish(self, request: HttpRequest, note: str) -> None:
        raise NotImplementedError

    def overtaken(self, request: HttpRequest) -> bool:
        """Whether the sent action was chosen on an older state of the table; if so, says so."""
        if request.method != "POST" or "action" not in request.POST:
            return False
        confirming = "post" in request.POST
        seen = request.session.pop(HELD, "") if confirming else request.POST.get("stamp", "")
        if not seen or seen == stamp():
            if request.POST["action"] in CONFIRMED:
                request.session[HELD] = stamp()
            return False
        edit = store.last_edit()
        by = f" The last edit is by {edit.author}: {edit.note or 'no note'}." if edit else ""
        messages.warning(request, f"Nothing was done: the table changed since you opened this page.{by} Look again.")
        return True

    def set_tier(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Move the chosen routes' targets at one provider to a tier, after a look at the difference."""
        targets = Target.objects.filter(route__in=rows)
        form = TierForm(request.POST if "tier" in request.POST else None, targets=targets)
        if not form.is_valid():
            return self._tier_page(request, rows, form, {})
        provider, tier = form.cleaned_data["provider"], form.cleaned_data["tier"]
        with transaction.atomic():
            before = store.draft()
            moved = targets.filter(provider=provider).exclude(tier=tier)
            touched = sorted({str(each.route) for each in moved.select_related("route")})
            moved.update(tier=tier)
            if "post" in request.POST:
                for row in rows:
                    self.log_change(request, row, f"Targets at {provider} moved to tier {tier}")
                self.publish(
                    request, f"Targets at {provider} moved to tier {tier}: {', '.join(touched[:10]) or 'none'}"
                )
                return None
            groups = grouped(changes(before, store.draft()))
            transaction.set_rollback(True)
        return self._tier_page(request, rows, form, {"groups": groups, "ready": True})

    set_tier.short_description = "Set the tier of the selected routes' targets"  # type: ignore[attr-defined]
    set_tier.allowed_permissions = ("change",)  # type: ignore[attr-defined]

    def _tier_page(
        self, request: HttpRequest, rows: QuerySet[Any], form: TierForm, more: dict[str, Any]
    ) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Set the tier of targets",
            "opts": self.opts,
            "form": form,
            "rows": rows,
            "checkbox": ACTION_CHECKBOX_NAME,
            "stamp": stamp(),
            **more,
        }
        return TemplateResponse(request, "admin/routing/route/set_tier.html", context)
