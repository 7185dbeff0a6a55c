"""Two people at one provider or route: a form knows what it was opened with, and a stale one overwrites nothing."""

import copy
from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST

from routing import store
from routing.admin.base import ModelAdmin
from routing.admin.trust import refuse_provider
from routing.diff import by_label
from routing.document import Entry
from routing.grouped import grouped
from routing.merge import fields_merged
from routing.models import Provider, Route, Target

SALT = "routing.form"
PREFIX = "targets"  # of the inline's fields
State = dict[str, Any]


class Silence:
    """Takes the messages of a trial, which nobody is to read."""

    def add(self, *args: Any, **kwargs: Any) -> None:
        return None


class ConflictPages(ModelAdmin):
    """Forms carry the state they were opened with. A save on top of another one is shown beside it instead."""

    def publish(self, request: HttpRequest, note: str) -> None:
        raise NotImplementedError

    def get_urls(self) -> list[URLPattern]:
        name = f"routing_{self.opts.model_name}_conflict"
        view = self.admin_site.admin_view(self.conflict)
        return [path("<int:pk>/conflict/", view, name=name), *super().get_urls()]

    def checked_form(
        self, request: HttpRequest, object_id: str | None, form_url: str, extra: dict[str, Any] | None
    ) -> HttpResponse:
        """Answer as the form does, unless it was sent on top of somebody else's change."""
        row = self.get_object(request, object_id) if object_id is not None else None
        if row is None:
            return super().changeform_view(request, object_id, form_url, extra)
        with transaction.atomic():
            if request.method == "POST":
                store.wait_for_other_publishers()
                clash = self._clash(request, row)
                if clash is not None:
                    return clash
            sent = request.POST.get("seen", "")
            context = {"seen": sent or sealed(state_of(subject_of(row))), **(extra or {})}
            return super().changeform_view(request, object_id, form_url, context)

    @method_decorator(csrf_protect)
    @method_decorator(require_POST)
    @transaction.atomic
    def conflict(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Save what was chosen on the page that showed both, unless somebody was faster once more."""
        row = self.get_object(request, str(pk))
        if row is None or not self.has_change_permission(request, row):
            raise PermissionDenied
        store.wait_for_other_publishers()
        chosen, subject = _opened(request.POST.get("apply", "")), subject_of(row)
        if chosen.get("for") != [request.user.pk, subject.pk]:
            raise PermissionDenied
        if chosen["theirs"] != state_of(subject):
            return self._both_shown(request, row, chosen["theirs"], chosen["entry"], chosen["why"])
        try:
            if isinstance(subject, Provider):
                refuse_provider(request, chosen["theirs"]["entry"], chosen["entry"])
            with transaction.atomic():
                store.put(subject, chosen["entry"])
                self.log_change(request, subject, "Changed on top of somebody else's change")
                self.publish(request, chosen["why"])
        except store.RoutingRefused as refused:
            messages.error(request, f"Nothing was saved: {refused}")
        return HttpResponseRedirect(_address(subject))

    def _clash(self, request: HttpRequest, row: Any) -> HttpResponse | None:
        """The page with both changes if the form is stale; None, with the sent form put right, if it may be saved."""
        sent = _opened(request.POST.get("seen", ""))
        subject = subject_of(row)
        if not sent:
            return None
        theirs = state_of(subject)
        if isinstance(row, Route):
            request.POST = rebased(request.POST, sent["entry"], row)  # type: ignore[assignment]
        if sent == theirs:
            return None
        mine = self._tried(request, row)
        if mine is None:
            messages.warning(request, f"Somebody changed {subject} since you opened it.")
            return None  # the form has errors and is shown again
        return self._both_shown(request, row, sent, mine, request.POST.get("why", ""))

    def _tried(self, request: HttpRequest, row: Any) -> Entry | None:
        """What the form would make of the row: saved, read and taken back. None where it has errors."""
        trial: Any = copy.copy(request)
        trial._messages, trial.trial = Silence(), True
        with transaction.atomic():
            answer = super().changeform_view(trial, str(row.pk))
            entry = store.entry_of(subject_of(row)) if answer.status_code == 302 else None
            transaction.set_rollback(True)
        return entry

    def _both_shown(self, request: HttpRequest, row: Any, opened: State, mine: Entry, why: str) -> TemplateResponse:
        subject, clashes = subject_of(row), list[str]()
        subject.refresh_from_db()
        theirs = state_of(subject)
        both = fields_merged(f"{subject._meta.verbose_name} {subject}", opened["entry"], theirs["entry"], mine, clashes)
        base: dict[str, Any] = {"for": [request.user.pk, subject.pk], "theirs": theirs, "why": why}
        context = {
            **self.admin_site.each_context(request),
            "title": f"{subject} was changed meanwhile",
            "opts": self.opts,
            "subject": subject,
            "edit": store.last_edit(),
            "theirs": _told(subject, opened["entry"], theirs["entry"]),
            "credential": opened["credential"] != theirs["credential"],
            "mine": _told(subject, opened["entry"], mine),
            "instead": _told(subject, theirs["entry"], mine),
            "together": _told(subject, theirs["entry"], both),
            "clashes": clashes,
            "secret": bool(request.POST.get("credential") or request.POST.get("forget")),
            "apply_both": sealed({**base, "entry": both}),
            "apply_mine": sealed({**base, "entry": mine}),
            "action": reverse(f"admin:routing_{self.opts.model_name}_conflict", args=[row.pk]),
            "form": _address(subject),
        }
        return TemplateResponse(request, "admin/routing/conflict.html", context, status=409)


def subject_of(row: Any) -> Any:
    """The provider or route that a row belongs to: a target's is its route."""
    return Route.objects.get(pk=row.route_id) if isinstance(row, Target) else row


def state_of(subject: Provider | Route) -> State:
    """What is compared: the entry, and when a credential was last entered."""
    changed = Provider.objects.filter(pk=subject.pk).values_list("credential_changed_at", flat=True).first()
    stamp = changed.isoformat() if changed is not None and isinstance(subject, Provider) else ""
    return {"entry": store.entry_of(subject), "credential": stamp}


def sealed(value: Any) -> str:
    """Return `value` signed, for a form."""
    return signing.dumps(value, salt=SALT, compress=True)


def _opened(text: str) -> State:
    """Return what `sealed` took, nothing where it was not us who signed."""
    try:
        found: State = signing.loads(text, salt=SALT)
    except signing.BadSignature:
        return {}
    return found


def rebased(sent: QueryDict, opened: Entry, route: Route) -> QueryDict:
    """Let the sent targets name rows that are there: others may have been written anew or removed meanwhile.

    A target that the form did not know is left out of what it says, so that both can be brought together.
    """
    there = {label: row.pk for label, row in zip(_labels(store.entry_of(route)), _rows(route), strict=True)}
    forms = _forms(sent)
    initial = [form for form in forms if form.get("id")]
    known = {str(pk) for pk in there.values()}
    for form, label in zip(initial, _labels(opened), strict=False):
        if form["id"] not in known:
            form["id"] = str(there.get(label, ""))
    named = {form["id"] for form in forms if form.get("id")}
    gone = [{"id": str(pk), "route": str(route.pk), "DELETE": "on"} for pk in there.values() if str(pk) not in named]
    return _with(
        sent, [form for form in forms if form.get("id")] + gone, [form for form in forms if not form.get("id")]
    )


def _forms(sent: QueryDict) -> list[dict[str, str]]:
    total = sent.get(f"{PREFIX}-TOTAL_FORMS", "0")
    forms: list[dict[str, str]] = [{} for _ in range(min(int(total), 1000) if total.isdecimal() else 0)]
    for name, value in sent.items():
        prefix, _, rest = name.partition("-")
        number, _, field = rest.partition("-")
        if prefix == PREFIX and number.isdecimal() and int(number) < len(forms):
            forms[int(number)][field] = str(value)
    return forms


def _with(sent: QueryDict, initial: list[dict[str, str]], extra: list[dict[str, str]]) -> QueryDict:
    fresh = sent.copy()
    for name in [name for name in fresh if name.startswith(f"{PREFIX}-") and name.split("-")[1].isdecimal()]:
        del fresh[name]
    for number, form in enumerate([*initial, *extra]):
        for field, value in form.items():
            fresh[f"{PREFIX}-{number}-{field}"] = value
    fresh[f"{PREFIX}-INITIAL_FORMS"] = str(len(initial))
    fresh[f"{PREFIX}-TOTAL_FORMS"] = str(len(initial) + len(extra))
    return fresh


def _labels(entry: Entry) -> Iterable[str]:
    return list(by_label(entry["targets"]))


def _rows(route: Route) -> list[Target]:
    return list(Target.objects.filter(route=route).order_by("position", "id"))


def _told(subject: Provider | Route, before: Entry, after: Entry) -> list[Any]:
    return grouped(store.differences(subject, before, after))


def _address(subject: Provider | Route) -> str:
    return reverse(f"admin:routing_{subject._meta.model_name}_change", args=[subject.pk])
