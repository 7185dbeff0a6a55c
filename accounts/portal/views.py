"""The key pages: keys of my teams, what they cost, and taking one out of service."""

from datetime import timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from accounts.portal import spend
from accounts.portal.viewer import Viewer, page, show

RECENT_DAYS = 30


@require_safe
@page
def keys(request: HttpRequest, who: Viewer) -> HttpResponse:
    every = spend.listed(who.keys.order_by("team__name", "label", "id"))
    working = [each for each in every if each.state == "active"]
    context = {
        "section": "keys",
        "working": working,
        "ended": [each for each in every if each.state != "active"],
        "spent_nano": sum(each.spent_nano for each in every),
        "open_requests": who.requests.filter(requester=who.user, state__in=("pending", "approved")),
        "may_ask": who.teams.exists(),
        "month": timezone.localdate().replace(day=1),
    }
    return show(request, who, "portal/keys.html", context)


@require_safe
@page
def key(request: HttpRequest, who: Viewer, id8: str) -> HttpResponse:
    row = get_object_or_404(who.keys.select_related("key_request__requester", "key_request__decided_by"), id8=id8)
    since = timezone.localdate() - timedelta(days=RECENT_DAYS - 1)
    by_model = spend.by("model", since, [row.id8])
    context = {
        "section": "keys",
        "listed": spend.listed([row])[0],
        "asked": getattr(row, "key_request", None),
        "by_model": sorted(by_model.items(), key=lambda each: -each[1]),
        "recent_nano": sum(by_model.values()),
        "recent_days": RECENT_DAYS,
        "since": since,
        "month": timezone.localdate().replace(day=1),
        "sees_costs": who.audits or row.team_id in who.team_ids,
    }
    return show(request, who, "portal/key.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def revoke(request: HttpRequest, who: Viewer, id8: str) -> HttpResponse:
    row = get_object_or_404(who.keys, id8=id8)
    if request.method != "POST":
        return show(request, who, "portal/revoke.html", {"section": "keys", "listed": spend.listed([row])[0]})
    row.disable(who.user.get_username())
    messages.success(request, f"{row.label} is revoked. It stops working within a second.")
    return redirect("portal:key", id8=row.id8)
