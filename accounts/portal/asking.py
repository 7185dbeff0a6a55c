"""The pages of a request for a key: asking, deciding, taking it back, and revealing the key once."""

from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.models import KeyRequest
from accounts.portal import snippets
from accounts.portal.forms import ApproveForm, AskForm, RejectForm
from accounts.portal.viewer import Viewer, page, show
from accounts.store import requests as steps

MOST_LISTED = 200
RouteNames = Callable[[], Iterable[str]]


@require_safe
@page
def request_list(request: HttpRequest, who: Viewer) -> HttpResponse:
    tab = request.GET.get("tab") or ("waiting" if who.waiting else "mine")
    mine = who.requests.filter(requester=who.user)
    tabs = {"mine": mine}
    if who.approves:
        pending = who.requests.filter(state=KeyRequest.State.PENDING).exclude(requester=who.user)
        tabs = {"waiting": pending.order_by("created_at", "id"), "mine": mine, "all": who.requests}
    context = {
        "section": "requests",
        "tab": tab if tab in tabs else "mine",
        "tabs": list(tabs),
        "rows": tabs.get(tab, mine)[:MOST_LISTED],
        "most": MOST_LISTED,
        "may_ask": who.teams.exists(),
    }
    return show(request, who, "portal/requests.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def ask(request: HttpRequest, who: Viewer, route_names: RouteNames) -> HttpResponse:
    form = AskForm(request.POST or None, viewer=who, route_names=list(route_names()))
    context: dict[str, Any] = {"section": "requests", "form": form, "may_ask": who.teams.exists()}
    if not form.is_valid():
        return show(request, who, "portal/ask.html", context, status=400 if form.is_bound else 200)
    try:
        made = steps.submit(requester=who.user, **form.asked)
    except steps.Refused as refusal:
        return show(request, who, "portal/ask.html", context | {"refusal": refusal}, status=409)
    messages.success(request, "Your request is on its way. You see its state here; the key is revealed on this page.")
    return redirect("portal:request", pk=made.pk)


@require_safe
@page
def detail(request: HttpRequest, who: Viewer, pk: int) -> HttpResponse:
    return _detail(request, who, get_object_or_404(who.requests, pk=pk))


@require_POST
@page
def approve(request: HttpRequest, who: Viewer, pk: int) -> HttpResponse:
    asked = _to_decide(who, pk)
    form = ApproveForm(request.POST, asked=asked)
    if not form.is_valid():
        return _detail(request, who, asked, approve=form, status=400)
    return _step(request, who, asked, "Approved.", lambda: steps.approve(asked, who.user, **form.granted))


@require_POST
@page
def reject(request: HttpRequest, who: Viewer, pk: int) -> HttpResponse:
    asked = _to_decide(who, pk)
    form = RejectForm(request.POST)
    if not form.is_valid():
        return _detail(request, who, asked, reject=form, status=400)
    comment = form.cleaned_data["comment"]
    return _step(request, who, asked, "Rejected.", lambda: steps.reject(asked, who.user, comment=comment))


@require_POST
@page
def withdraw(request: HttpRequest, who: Viewer, pk: int) -> HttpResponse:
    asked = _own(who, pk)
    return _step(request, who, asked, "Withdrawn.", lambda: steps.withdraw(asked, who.user))


@require_POST
@page
@sensitive_variables()
def reveal(request: HttpRequest, who: Viewer, pk: int, route_names: RouteNames) -> HttpResponse:
    asked = _own(who, pk)
    try:
        minted = steps.reveal(asked, who.user)
    except steps.Refused as refusal:
        return _detail(request, who, asked, refusal=refusal, status=409)
    model = snippets.model_for(asked.granted_models, route_names())
    context = {
        "section": "requests",
        "asked": asked,
        "id8": minted.id,
        "secret": minted.text,
        "base_url": f"{settings.PUBLIC_URL}/v1",
        "curl": snippets.curl(settings.PUBLIC_URL, minted.text, model),
        "python": snippets.python(settings.PUBLIC_URL, minted.text, model),
    }
    # `page` has it marked no-store: the secret is in this one answer and nowhere else.
    return show(request, who, "portal/revealed.html", context)


def _to_decide(who: Viewer, pk: int) -> KeyRequest:
    """Raises Http404 for what the viewer cannot see, PermissionDenied for what is not theirs to decide."""
    asked = get_object_or_404(who.requests, pk=pk)
    if not who.approves or asked.requester_id == who.user.pk:
        raise PermissionDenied
    return asked


def _own(who: Viewer, pk: int) -> KeyRequest:
    asked = get_object_or_404(who.requests, pk=pk)
    if asked.requester_id != who.user.pk:
        raise PermissionDenied
    return asked


def _step(
    request: HttpRequest, who: Viewer, asked: KeyRequest, done: str, step: Callable[[], KeyRequest]
) -> HttpResponse:
    try:
        step()
    except steps.Refused as refusal:
        return _detail(request, who, asked, refusal=refusal, status=409)
    messages.success(request, done)
    return redirect("portal:request", pk=asked.pk)


def _detail(
    request: HttpRequest,
    who: Viewer,
    asked: KeyRequest,
    *,
    approve: ApproveForm | None = None,
    reject: RejectForm | None = None,
    refusal: steps.Refused | None = None,
    status: int = 200,
) -> HttpResponse:
    asked.refresh_from_db()
    mine = asked.requester_id == who.user.pk
    decides = who.approves and not mine and asked.state == KeyRequest.State.PENDING
    context = {
        "section": "requests",
        "asked": asked,
        "mine": mine,
        "decides": decides,
        "approve": (approve or ApproveForm(asked=asked)) if decides else None,
        "reject": (reject or RejectForm()) if decides else None,
        "rejecting": reject is not None,
        "refusal": refusal,
    }
    return show(request, who, "portal/request.html", context, status=status)
