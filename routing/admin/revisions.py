"""Revisions in the admin: who changed what and when, and the way back."""

import json
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST

from routing import store
from routing.admin.base import ReadOnlyAdmin
from routing.admin.publishing import said
from routing.models import Revision

SHOWN = 3  # changes in a line of the list


@admin.register(Revision)
class RevisionAdmin(ReadOnlyAdmin):
    list_display = ("number", "at", "author", "note", "in_short")
    list_filter = ("at",)
    search_fields = ("author", "note")
    sortable_by = ("number",)
    fields = ("number", "at", "author", "note", "restored_from", "changes", "whole")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Revision]:
        return super().get_queryset(request).defer("document")

    def get_urls(self) -> list[URLPattern]:
        restore = self.admin_site.admin_view(self.restore)
        return [path("<int:number>/restore/", restore, name="routing_revision_restore"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        latest = store.latest()
        number = int(object_id) if object_id.isdecimal() else 0
        before = Revision.objects.filter(number__lt=number).order_by("-number").values_list("number", flat=True).first()
        context = {
            "in_force": latest is not None and latest.number == number,
            "before": before,
            "may_restore": request.user.has_perm("routing.add_revision"),
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    @method_decorator(csrf_protect)
    @method_decorator(require_POST)
    def restore(self, request: HttpRequest, number: int) -> HttpResponse:
        """Publish an earlier revision again and set the rows to it."""
        if not request.user.has_perm("routing.add_revision"):
            raise PermissionDenied
        revision = get_object_or_404(Revision, number=number)
        try:
            published = store.restore(revision, request.user.get_username())
        except store.RoutingRefused as refused:
            messages.error(request, f"Nothing was changed: {refused}")
            return HttpResponseRedirect(reverse("admin:routing_revision_change", args=[number]))
        self.log_change(request, published, f"Restored revision {number}")
        messages.success(request, said(request, published))
        for notice in published.note.split(". ")[1:]:
            messages.warning(request, notice)
        return HttpResponseRedirect(reverse("admin:routing_revision_change", args=[published.number]))

    @admin.display(description="Changes")
    def in_short(self, revision: Revision) -> str:
        sentences = [change["sentence"] for change in revision.diff]
        more = [f"and {len(sentences) - SHOWN} more"] if len(sentences) > SHOWN else []
        return "; ".join([*sentences[:SHOWN], *more]) or "none"

    @admin.display(description="Changes to the revision before")
    def changes(self, revision: Revision) -> SafeString | str:
        if not revision.diff:
            return "none"
        rows = [(change["action"], change["sentence"]) for change in revision.diff]
        return format_html('<ul class="ql-diff">{}</ul>', format_html_join("", '<li class="ql-{}">{}</li>', rows))

    @admin.display(description="Whole table")
    def whole(self, revision: Revision) -> SafeString:
        text = json.dumps(revision.document, indent=2, ensure_ascii=False)
        return format_html('<details><summary>Show</summary><pre class="ql-code">{}</pre></details>', text)
