"""The draft's own pages: what waits, what is wrong with it, publish it now or later, or discard it."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST

from routing import store
from routing.admin.base import ReadOnlyAdmin
from routing.admin.publishing import said
from routing.checks import ERROR
from routing.grouped import grouped

MINUTES = "%Y-%m-%dT%H:%M"
SECONDS = "%Y-%m-%dT%H:%M:%S"


class PublishForm(forms.Form):
    note = forms.CharField(
        required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 3}), help_text="Kept with the revision."
    )
    at = forms.DateTimeField(
        label="Goes live at",
        required=False,
        input_formats=(MINUTES, SECONDS),
        widget=forms.DateTimeInput(format=SECONDS, attrs={"type": "datetime-local", "step": 1}),
        help_text=f"Empty: at once. By the clock of {settings.TIME_ZONE}.",
    )
    confirmed = forms.BooleanField(label="I have read the warnings, and it is meant so.", required=False)
    seen = forms.CharField(widget=forms.HiddenInput)


class DraftPages(ReadOnlyAdmin):
    """The pages stand below the revisions, since what they make is one."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("publish/", wrap(self.publish), name="routing_revision_publish"),
            path("publish/cancel/", wrap(self.cancel), name="routing_revision_cancel"),
            path("discard/", wrap(self.discard), name="routing_revision_discard"),
            *super().get_urls(),
        ]

    @method_decorator(csrf_protect)
    def publish(self, request: HttpRequest) -> HttpResponse:
        """Show what waits with its checks; publish it, now or at a time."""
        if not request.user.has_perm("routing.view_revision"):
            raise PermissionDenied
        form = PublishForm(request.POST or None, initial={"note": store.notes()})
        if request.method == "POST":
            _may_publish(request)
            if form.is_valid():
                done = self._or_told(request, form, lambda: self._publish(request, form.cleaned_data))
                if done is not None:
                    return done
        return self._publishing(request, form)

    @method_decorator(csrf_protect)
    @method_decorator(require_POST)
    def cancel(self, request: HttpRequest) -> HttpResponse:
        """Take back the publication that waits for its time."""
        _may_publish(request)
        try:
            waited = store.cancel(request.user.get_username())
            messages.success(
                request, f"The publication of {waited.due:%Y-%m-%d %H:%M:%S %Z} is cancelled; the draft stays."
            )
        except store.RoutingRefused as refused:
            messages.error(request, f"Nothing was cancelled: {refused}.")
        return HttpResponseRedirect(reverse("admin:routing_revision_publish"))

    @method_decorator(csrf_protect)
    def discard(self, request: HttpRequest) -> HttpResponse:
        """Show what would be lost, then set the rows back to what serves."""
        _may_publish(request)
        if request.method == "POST" and self.is_as_seen(request):
            store.discard(request.user.get_username(), seen=request.POST["seen"])
            messages.success(request, "The draft is discarded: it says what serves.")
            return HttpResponseRedirect(reverse("admin:routing_revision_changelist"))
        context = {"groups": grouped(store.waiting_changes()), "edits": store.edits(), "seen": store.version()}
        return self.page(request, "discard", "Discard the draft", context)

    def page(self, request: HttpRequest, name: str, title: str, context: dict[str, Any]) -> TemplateResponse:
        """Answer with one of the pages below the revisions."""
        known = {**self.admin_site.each_context(request), "title": title, "opts": self.opts}
        return TemplateResponse(request, f"admin/routing/revision/{name}.html", {**known, **context})

    def is_as_seen(self, request: HttpRequest) -> bool:
        """Whether the page that was sent showed the draft as it is; if not, says so."""
        if request.POST.get("seen") == store.version():
            return True
        messages.warning(request, "Somebody changed the routing table since you opened this page. Look again.")
        return False

    def _publishing(self, request: HttpRequest, form: PublishForm) -> TemplateResponse:
        table, username = store.draft(), request.user.get_username()
        found = store.findings(table)
        errors = [each for each in found if each.level == ERROR]
        changes, scheduled = store.waiting_changes(table), store.scheduled()
        may = request.user.has_perm("routing.add_revision")
        context = {
            "form": form,
            "groups": grouped(changes),
            "count": len(changes),
            "edits": store.edits(),
            "errors": errors,
            "warnings": [each for each in found if each.level != ERROR],
            "scheduled": scheduled,
            "past": store.past_publications(),
            "seen": store.version(table),
            "may": may,
            "own": may and not store.may_publish(username),
            "ready": may and changes and not errors and store.may_publish(username),
        }
        return self.page(request, "publish", "Publish the draft", context)

    def _publish(self, request: HttpRequest, data: dict[str, Any]) -> HttpResponse:
        author, told = request.user.get_username(), {"seen": data["seen"], "confirmed": data["confirmed"]}
        if data["at"]:
            waits = store.schedule(author, data["note"], data["at"], **told)
            text = "Goes live by itself at {}, in every process within a second. It can be cancelled until then."
            messages.success(request, format_html(text, f"{data['at']:%Y-%m-%d %H:%M:%S %Z}"))
            self.log_change(request, waits, "Set to go live")
            return HttpResponseRedirect(reverse("admin:routing_revision_publish"))
        revision = store.publish_draft(author, data["note"], **told)
        self.log_change(request, revision, "Published")
        messages.success(request, said(request, revision))
        return HttpResponseRedirect(reverse("admin:routing_revision_change", args=[revision.number]))

    def _or_told(
        self, request: HttpRequest, form: PublishForm, publish: Callable[[], HttpResponse]
    ) -> HttpResponse | None:
        try:
            return publish()
        except store.Unconfirmed:
            form.add_error("confirmed", "Read the warnings first, then say that it is meant so.")
        except store.RoutingRefused as refused:
            messages.error(request, f"Nothing was published: {refused}.")
        return None


def _may_publish(request: HttpRequest) -> None:
    if not request.user.has_perm("routing.add_revision"):
        raise PermissionDenied
