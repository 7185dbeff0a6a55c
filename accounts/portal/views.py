"""The key pages: keys of my teams, what they cost, and taking one out of service."""

from datetime import timedelta

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from accounts.portal import spend
from accounts.portal.forms import BudgetForm
from accounts.portal.viewer import Viewer, page, show
from accounts.store import standing
from accounts.store.budgets import set_monthly

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
        "standings": standing.of_teams(who.team_ids),
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
        "standings": standing.of_keys([row]) if who.approves or row.team_id in who.team_ids else [],
        "sees_costs": who.audits or row.team_id in who.team_ids,
    }
    return show(request, who, "portal/key.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def budget(request: HttpRequest, who: Viewer, id8: str) -> HttpResponse:
    """The key's own budget a month, which whoever approves keys may set. Nobody sets it on a key of their own."""
    row = get_object_or_404(who.keys, id8=id8)
    if not who.approves or (row.owner == who.user.get_username() and not who.user.is_superuser):
        raise PermissionDenied
    form = BudgetForm(request.POST or None, initial={"amount": row.monthly_budget_nano})
    if request.method == "POST" and form.is_valid():
        set_monthly(row, form.cleaned_data["amount"], by=who.user.get_username())
        messages.success(request, f"The budget of {row.label} is set. It is in force within a second.")
        return redirect("portal:key", id8=row.id8)
    context = {"section": "keys", "listed": spend.listed([row])[0], "form": form}
    return show(request, who, "portal/set_budget.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def revoke(request: HttpRequest, who: Viewer, id8: str) -> HttpResponse:
    row = get_object_or_404(who.keys, id8=id8)
    if request.method != "POST":
        return show(request, who, "portal/revoke.html", {"section": "keys", "listed": spend.listed([row])[0]})
    row.disable(who.user.get_username())
    messages.success(request, f"{row.label} is revoked. It stops working within a second.")
    return redirect("portal:key", id8=row.id8)
