"""How the admin looks and what stands in its sidebar: the settings of django-unfold, kept apart from our own."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import get_script_prefix, reverse_lazy


def may(permission: str) -> Callable[[HttpRequest], bool]:
    """Whether whoever asks holds `permission`, such as `routing.view_route`."""
    return lambda request: bool(getattr(request, "user", None) and request.user.has_perm(permission))


def rows(title: str, icon: str, app: str, model: str) -> dict[str, Any]:
    """A line of the sidebar that leads to the list of a model."""
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{model}_changelist"),
        "permission": may(f"{app}.view_{model}"),
    }


def view(title: str, icon: str, name: str, permission: str) -> dict[str, Any]:
    """A line of the sidebar that leads to a page of the admin's own."""
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}"), "permission": may(permission)}


def page(title: str, icon: str, address: str) -> dict[str, Any]:
    """A line of the sidebar that leads out of the admin."""
    return {"title": title, "icon": icon, "link": below_root(address), "active": False}


def below_root(address: str) -> Callable[[HttpRequest], str]:
    """An address below wherever the site is mounted; `address` has no leading slash."""

    def link(request: HttpRequest) -> str:
        return get_script_prefix() + address

    return link


def at_prices(request: HttpRequest) -> bool:
    """Whether the page is one of the price rows: two pages with lines of their own have addresses below theirs."""
    below = request.path.partition("/accounts/price/")
    return bool(below[1]) and not below[2].startswith(("waiting/", "lists/"))


def favicon(request: HttpRequest) -> str:
    return static("qlite/mark.svg")


def stylesheet(request: HttpRequest) -> str:
    return static("qlite/admin.css")


def group(title: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "separator": True, "items": list(items)}


NAVIGATION = [
    {"items": [{"title": "Overview", "icon": "monitoring", "link": reverse_lazy("admin:index")}]},
    group(
        "Routing",
        rows("Providers", "dns", "routing", "provider"),
        rows("Routes", "alt_route", "routing", "route"),
        rows("Breakers", "electrical_services", "routing", "breaker"),
        rows("Revisions", "history", "routing", "revision"),
        {
            "title": "Simulator",
            "icon": "science",
            "link": reverse_lazy("simulator"),
            "permission": may("routing.view_revision"),
        },
    ),
    group(
        "People and keys",
        rows("Teams", "groups", "accounts", "team"),
        rows("API keys", "key", "accounts", "apikey"),
        rows("Key requests", "inbox", "accounts", "keyrequest"),
        rows("People", "person", "auth", "user"),
        rows("Roles", "badge", "auth", "group"),
    ),
    group(
        "Money",
        rows("Request records", "receipt_long", "accounts", "requestrecord"),
        rows("Adjustments", "balance", "accounts", "adjustment"),
        rows("Daily totals", "calendar_month", "accounts", "dailytotal"),
        rows("Repricing", "currency_exchange", "accounts", "repricing"),
        rows("Closed days", "lock", "accounts", "ledgerday"),
        rows("Budgets", "savings", "accounts", "budget"),
        rows("Budget alerts", "notifications", "accounts", "budgetalert"),
        rows("Prices", "sell", "accounts", "price") | {"active": at_prices},
        view("Models without a price", "price_check", "accounts_price_waiting", "accounts.view_price"),
        view("Price lists", "price_change", "accounts_price_lists", "accounts.view_price"),
        rows("Quarantine", "report", "accounts", "ledgerquarantine"),
    ),
    group(
        "Gateway",
        rows("Cache entries", "cached", "proxy", "cacheentry"),
        rows("Changes by people", "manage_history", "admin", "logentry"),
        page("My keys", "vpn_key", "keys/"),
        page("Reports", "bar_chart", "reports/"),
    ),
]

# A calm blue; `base` stays unfold's slate.
PRIMARY = {
    "50": "oklch(97% .014 254.6)",
    "100": "oklch(93.2% .032 255.6)",
    "200": "oklch(88.2% .059 254.1)",
    "300": "oklch(80.9% .105 251.8)",
    "400": "oklch(70.7% .165 254.6)",
    "500": "oklch(62.3% .214 259.8)",
    "600": "oklch(54.6% .245 262.9)",
    "700": "oklch(48.8% .243 264.4)",
    "800": "oklch(42.4% .199 265.6)",
    "900": "oklch(37.9% .146 265.5)",
    "950": "oklch(28.2% .091 267.9)",
}

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "qlite",
    "SITE_HEADER": "qlite",
    "SITE_SUBHEADER": "LLM gateway",
    "SITE_SYMBOL": "hub",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": favicon}],
    "SITE_URL": below_root("keys/"),
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "qlite_site.dashboard.fill",
    "COLORS": {"primary": PRIMARY},
    "STYLES": [stylesheet],
    "SIDEBAR": {"show_search": False, "command_search": False, "navigation": NAVIGATION},
}
