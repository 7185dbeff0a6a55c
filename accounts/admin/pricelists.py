"""The page of price lists: what a list would change, and the button that takes it over."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from accounts import pricelists
from accounts.pricelists import own
from accounts.pricelists.compare import CHANGED, IGNORED, NEW, SAME, Change
from accounts.pricelists.offers import List, NotAList
from accounts.pricelists.words import differences
from accounts.store import pricelists as store

LARGEST = 20 * 1024 * 1024
SALT = "accounts.pricelists"
SHOWN = 500  # lines of each status


class ListForm(forms.Form):
    file = forms.FileField(required=False, label="Another list", help_text="genai-prices' data.json or LiteLLM's.")


def page(site: Any, request: HttpRequest) -> HttpResponse:
    """Show the differences to the shipped list, or to one that was sent; take over what was shown."""
    if not request.user.has_perm("accounts.view_price"):
        raise PermissionDenied
    try:
        if request.method == "POST" and "take" in request.POST:
            return _take(request)
        prices = _sent(request) if request.method == "POST" and request.FILES else store.shipped()
    except NotAList as error:
        messages.error(request, str(error))
        prices = store.shipped()
    context = {**site.each_context(request), "title": "Price lists", "form": ListForm(), **_shown(request, prices)}
    return TemplateResponse(request, "admin/accounts/price/lists.html", context)


def _sent(request: HttpRequest) -> List:
    file: Any = request.FILES["file"]
    if file.size is None or file.size > LARGEST:
        raise NotAList("The file is too large for a price list.")
    try:
        return pricelists.read(file.read().decode())
    except UnicodeDecodeError:
        raise NotAList("The file is no text in UTF-8.") from None


def _shown(request: HttpRequest, prices: List) -> dict[str, Any]:
    changes = store.compared(prices)
    counted = store.count(changes)
    return {
        "prices": prices,
        "counted": [(status, counted[status]) for status in (NEW, CHANGED, SAME, IGNORED)],
        "groups": [(status, _lines(changes, status)) for status in (CHANGED, NEW, IGNORED) if counted[status]],
        "more": SHOWN,
        "unusable": prices.unusable,
        "token": _token(prices, changes) if request.user.has_perm("accounts.add_price") else "",
        "something": bool(counted[NEW] or counted[CHANGED]),
    }


def _lines(changes: Sequence[Change], status: str) -> list[tuple[Change, str]]:
    found = [change for change in changes if change.status == status][:SHOWN]
    return [(change, change.why or "; ".join(differences(change))) for change in found]


def _token(prices: List, changes: Sequence[Change]) -> str:
    """Return what was shown, signed: the button takes over this, whatever has happened to the file since."""
    wanted = [change.offer for change in changes if change.status in (NEW, CHANGED)]
    keys = {offer.key for offer in wanted}
    kept = [offer for offer in prices.offers if offer.key in keys]
    text = own.write(List(prices.name, prices.source, tuple(own.dated(offer) for offer in kept)))
    return signing.dumps(text, salt=SALT, compress=True)


def _take(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm("accounts.add_price"):
        raise PermissionDenied
    try:
        prices = pricelists.read(signing.loads(request.POST["take"], salt=SALT, max_age=3600))
    except signing.BadSignature:
        messages.error(request, "That page is too old. Look at the differences again.")
        return HttpResponseRedirect(reverse("admin:accounts_price_lists"))
    added = store.apply(store.compared(prices), prices, by=request.user.get_username())
    messages.success(request, f"Added {added:,} versions from {prices.source}.")
    return HttpResponseRedirect(reverse("admin:accounts_price_changelist"))
