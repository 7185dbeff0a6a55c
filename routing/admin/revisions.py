"""Revisions in the admin: who changed what and when, the difference between any two, and the way back."""

import json
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.csrf import csrf_protect

from routing import store
from routing.admin.exchange import ExchangePages
from routing.admin.publishing import said
from routing.admin.trust import refuse_beyond
from routing.diff import changes
from routing.grouped import grouped
from routing.models import Revision

SHOWN = 3  # changes in a line of the list
LARGEST = 200_000  # characters of a table shown on a page


@admin.register(Revision)
class RevisionAdmin(ExchangePages):
    list_display = ("number", "at", "author", "note", "in_short")
    list_filter = ("at", "author")
    search_fields = ("author", "note")
    sortable_by = ("number",)
    fields = (("number", "at"), ("author", "edited_by"), "note", "restored_from", "whole")
    readonly_fields = ("number", "at", "author", "edited_by", "note", "restored_from", "whole")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Revision]:
        return super().get_queryset(request).defer("document")

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("compare/", wrap(self.compare), name="routing_revision_compare"),
            path("<int:number>/restore/", wrap(self.restore), name="routing_revision_restore"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        latest = store.latest()
        number = int(object_id) if object_id.isdecimal() else 0
        before = Revision.objects.filter(number__lt=number).order_by("-number").first()
        shown = Revision.objects.filter(number=number).first()
        after = store.document_of(shown)
        context = {
            "in_force": latest is not None and latest.number == number,
            "before": before and before.number,
            "may_restore": request.user.has_perm("routing.add_revision"),
            "groups": grouped(changes(store.document_of(before, like=after), after)),
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    def compare(self, request: HttpRequest) -> HttpResponse:
        """Show what leads from one state of the table to any other: revisions by number, `serving`, `draft`."""
        if not request.user.has_perm("routing.view_revision"):
            raise PermissionDenied
        one, other = request.GET.get("a", "serving"), request.GET.get("b", "draft")
        context: dict[str, Any] = {"a": one, "b": other}
        try:
            context["groups"] = grouped(changes(store.named(one), store.named(other)))
        except store.RoutingRefused as refused:
            messages.error(request, f"{refused}")
        return self.page(request, "compare", f"From {_called(one)} to {_called(other)}", context)

    @method_decorator(csrf_protect)
    def restore(self, request: HttpRequest, number: int) -> HttpResponse:
        """Show what would change, then publish an earlier revision again and set the rows to it."""
        if not request.user.has_perm("routing.add_revision"):
            raise PermissionDenied
        revision = get_object_or_404(Revision, number=number)
        try:
            if request.method == "POST" and self.is_as_seen(request):
                return self._restored(request, revision)
            return self._restoring(request, revision)
        except store.RoutingRefused as refused:
            messages.error(request, f"Nothing was changed: {refused}")
            return HttpResponseRedirect(reverse("admin:routing_revision_change", args=[number]))

    def _restoring(self, request: HttpRequest, revision: Revision) -> TemplateResponse:
        wanted, draft = store.document_of(revision), store.draft()
        serving = store.document_of(store.latest(), like=draft)
        context = {
            "revision": revision,
            "groups": grouped(changes(serving, wanted)),
            "lost": grouped(store.waiting_changes(draft)),
            "alone": store.may_restore(revision),
            "seen": store.version(),
        }
        return self.page(request, "restore", f"Restore revision {revision.number}", context)

    def _restored(self, request: HttpRequest, revision: Revision) -> HttpResponse:
        refuse_beyond(request, *store.tried(store.document_of(revision), replace=True))
        kept = store.bring_back(revision, request.user.get_username())
        published = kept.revision
        if not kept.new or published is None:
            self.log_change(request, revision, "Restored into the draft")
            messages.success(
                request, f"Revision {revision.number} is kept as a draft: somebody else has to publish it."
            )
            return HttpResponseRedirect(reverse("admin:routing_revision_publish"))
        self.log_change(request, published, f"Restored revision {revision.number}")
        messages.success(request, said(request, published))
        for notice in published.note.split(". ")[1:]:
            messages.warning(request, notice)
        return HttpResponseRedirect(reverse("admin:routing_revision_change", args=[published.number]))

    @admin.display(description="Changes")
    def in_short(self, revision: Revision) -> str:
        sentences = [change["sentence"] for change in revision.diff]
        more = [f"and {len(sentences) - SHOWN} more"] if len(sentences) > SHOWN else []
        return "; ".join([*sentences[:SHOWN], *more]) or "none"

    @admin.display(description="Edited by")
    def edited_by(self, revision: Revision) -> str:
        return ", ".join(revision.editors) or revision.author

    @admin.display(description="Whole table")
    def whole(self, revision: Revision) -> SafeString:
        address = f"{reverse('admin:routing_revision_export')}?state={revision.number}"
        link = format_html('<a class="text-link" href="{}">Export it as YAML</a>', address)
        if len(json.dumps(revision.document)) > LARGEST:
            return link
        text = json.dumps(revision.document, indent=2, ensure_ascii=False)
        return format_html('{}<details><summary>Show</summary><pre class="ql-code">{}</pre></details>', link, text)


def _called(state: str) -> str:
    return (
        f"revision {state}" if state.isdecimal() else {"serving": "what serves", "draft": "the draft"}.get(state, state)
    )
