"""The page of models that wait for a price: how much, and the booking once they have one."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from accounts.admin.fields import shown
from accounts.store import reprice
from accounts.store.reprice import RepricingRefused
from accounts.store.waiting import State, Waiting, preview, waiting

BOOKER = "accounts.add_adjustment"


def page(site: Any, request: HttpRequest) -> HttpResponse:
    """Show what waits; preview, book or stop the booking of one model."""
    if not request.user.has_perm("accounts.view_price"):
        raise PermissionDenied
    rows = waiting()
    if request.method == "POST":
        if not request.user.has_perm(BOOKER):
            raise PermissionDenied
        _act(request, rows)
        return HttpResponseRedirect(reverse("admin:accounts_price_waiting"))
    context = {
        **site.each_context(request),
        "title": "Models without a price",
        "rows": [_line(each) for each in rows],
        "may_book": request.user.has_perm(BOOKER),
        "may_add": request.user.has_perm("accounts.add_price"),
        "busy": any(each.job and each.job.running for each in rows),
    }
    return TemplateResponse(request, "admin/accounts/price/waiting.html", context)


def _line(each: Waiting) -> dict[str, Any]:
    given = {"provider": each.provider, "model": each.model, "since": each.since.isoformat()}
    return {
        "waiting": each,
        "add": f"{reverse('admin:accounts_price_add')}?{urlencode(given)}",
        "amount": shown(each.job.delta_nano) if each.job else "",
    }


def _act(request: HttpRequest, rows: list[Waiting]) -> None:
    """Do what was asked for the one row that the form names."""
    asked = (request.POST.get("provider"), request.POST.get("model"))
    each = next((row for row in rows if (row.provider, row.model) == asked), None)
    if each is None:
        messages.warning(request, "Nothing of it waits any more.")
        return
    author, job, wanted = request.user.get_username(), each.job, request.POST.get("do")
    try:
        if wanted == "preview" and job is None:
            preview(each, author=author)
            messages.info(request, f"Reckoning what {each.provider}/{each.model} comes to. Nothing is booked yet.")
        elif wanted == "book" and job is not None and job.state == State.READY and reprice.apply(job.pk, by=author):
            messages.success(request, f"Booking {job.found:,} adjustments for {each.provider}/{each.model}.")
        elif wanted == "stop" and job is not None and reprice.cancel(job.pk):
            messages.info(request, "Stopped. What was booked already stays booked.")
    except RepricingRefused as refused:
        messages.error(request, str(refused))
