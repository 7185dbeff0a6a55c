"""Every save, deletion and bulk action on the routing table publishes exactly one revision, or is kept as a draft."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from routing import store
from routing.admin.bulk import BulkPages
from routing.admin.conflict import ConflictPages, state_of, subject_of
from routing.checks import Finding
from routing.models import Revision

WARNED = 5  # findings that a save tells about
DELETING = "routing.deleting"  # in the session: what a page of confirmation was opened on


class PublishingAdmin(BulkPages, ConflictPages):
    """Publishes after the related rows are saved. What cannot be published is not saved either."""

    actions: tuple[str, ...] = ("enable", "disable")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        why = form.cleaned_data.get("why") or f"{self._kind} {form.instance} {'changed' if change else 'added'}"
        self.publish(request, why)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        name = str(obj)
        super().delete_model(request, obj)
        self.publish(request, f"{self._kind} {name} deleted")

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with transaction.atomic():
            names = _named(queryset)
            super().delete_queryset(request, queryset)
            self.publish(request, f"{self._kinds} deleted: {names}")

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        return self._or_refused(request, lambda: self.checked_form(request, object_id, form_url, extra_context))

    def delete_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Delete what the page of confirmation was opened on, and nothing that somebody changed since."""
        row = self.get_object(request, object_id)
        held, now = f"{DELETING}.{self.opts.model_name}.{object_id}", state_of(subject_of(row)) if row else None
        if request.method == "POST" and request.session.pop(held, now) != now:
            messages.warning(
                request, f"{row} was not deleted: somebody changed it since you opened this page. Look again."
            )
            return HttpResponseRedirect(request.get_full_path())
        if request.method == "GET" and row is not None:
            request.session[held] = now
        view = super().delete_view
        return self._or_refused(request, lambda: view(request, object_id, *args, **kwargs))

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.overtaken(request):
            return HttpResponseRedirect(request.get_full_path())
        return self._or_refused(request, lambda: super(PublishingAdmin, self).changelist_view(request, *args, **kwargs))

    def enable(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        self._switch(request, rows, True)

    enable.short_description = "Enable the selected rows"  # type: ignore[attr-defined]
    enable.allowed_permissions = ("change",)  # type: ignore[attr-defined]

    def disable(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        self._switch(request, rows, False)

    disable.short_description = "Disable the selected rows"  # type: ignore[attr-defined]
    disable.allowed_permissions = ("change",)  # type: ignore[attr-defined]

    @transaction.atomic
    def _switch(self, request: HttpRequest, rows: QuerySet[Any], enabled: bool) -> None:
        word = "enabled" if enabled else "disabled"
        changing = list(rows.exclude(enabled=enabled))
        for row in changing:
            self.log_change(request, row, f"{word.capitalize()} in bulk")
        self.model.objects.filter(pk__in=[row.pk for row in changing]).update(
            enabled=enabled, updated_at=timezone.now()
        )
        self.publish(request, f"{self._kinds} {word}: {_listed([str(row) for row in changing])}")

    def publish(self, request: HttpRequest, note: str) -> None:
        """Publish the rows as they are, or keep them as a draft where edits are reviewed, and say which.

        Raises RoutingRefused, on which the caller's transaction is undone.
        """
        if getattr(request, "trial", False):
            return
        before = store.latest()
        tell(request, store.save(request.user.get_username(), note), before)

    def _or_refused(self, request: HttpRequest, answer: Callable[[], HttpResponse]) -> HttpResponse:
        try:
            return answer()
        except store.RoutingRefused as refused:
            messages.error(request, f"Nothing was saved: {refused}")
            return HttpResponseRedirect(request.get_full_path())

    @property
    def _kind(self) -> str:
        return str(self.opts.verbose_name)

    @property
    def _kinds(self) -> str:
        return str(self.opts.verbose_name_plural)


def tell(request: HttpRequest, kept: store.Kept, before: Revision | None) -> None:
    """Say what became of an edit, and what is wrong with the table since."""
    if settings.ROUTING_REVIEW:
        messages.success(request, _waits(request, kept.waiting))
    elif kept.new and kept.revision is not None:
        messages.success(request, said(request, kept.revision))
        warn(request, store.findings(kept.revision.document, store.document_of(before, like=kept.revision.document)))
    elif kept.revision is not None:
        text = f"The routing table is unchanged: revision {kept.revision.number} stays in force."
        messages.success(request, text)


def warn(request: HttpRequest, found: list[Finding]) -> None:
    """Tell what is new among the findings, the errors first."""
    new = [each.sentence for each in found if not each.known]
    more = [f"and {len(new) - WARNED} more"] if len(new) > WARNED else []
    for sentence in [*new[:WARNED], *more]:
        messages.warning(request, f"{sentence[0].upper()}{sentence[1:]}.")


def _waits(request: HttpRequest, count: int) -> str:
    if not count:
        return "Saved. The draft says what serves already: there is nothing to publish."
    waiting = f"{count} unpublished change{'s' if count > 1 else ''}"
    if request.user.has_perm("routing.view_revision"):
        address = reverse("admin:routing_revision_publish")
        waiting = format_html('<a href="{}"><u>{}</u></a>', address, waiting)
    return format_html("Kept in the draft, which does not serve yet: {}.", waiting)


def said(request: HttpRequest, revision: Revision) -> str:
    """The sentence that tells people that an edit serves, with a link to its revision for those who may see it."""
    text = f"revision {revision.number}"
    if request.user.has_perm("routing.view_revision"):
        address = reverse("admin:routing_revision_change", args=[revision.number])
        text = format_html('<a href="{}"><u>{}</u></a>', address, text)
    return format_html("Live in every process within a second: {}.", text)


def _named(rows: QuerySet[Any]) -> str:
    return _listed([str(row) for row in rows])


def _listed(names: list[str], at_most: int = 10) -> str:
    more = [f"and {len(names) - at_most} more"] if len(names) > at_most else []
    return ", ".join([*names[:at_most], *more]) or "none"
