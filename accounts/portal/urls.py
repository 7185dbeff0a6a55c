"""Addresses of the key pages."""

from collections.abc import Callable, Iterable

from django.urls import URLPattern, path

from accounts.portal import asking, views


def urls(route_names: Callable[[], Iterable[str]]) -> tuple[list[URLPattern], str]:
    """What to include. `route_names` gives the models on offer: this room does not know the routes."""
    names = {"route_names": route_names}
    return [
        path("", views.keys, name="keys"),
        path("request/", asking.ask, names, name="ask"),
        path("requests/", asking.request_list, name="requests"),
        path("requests/<int:pk>/", asking.detail, name="request"),
        path("requests/<int:pk>/approve/", asking.approve, name="approve"),
        path("requests/<int:pk>/reject/", asking.reject, name="reject"),
        path("requests/<int:pk>/withdraw/", asking.withdraw, name="withdraw"),
        path("requests/<int:pk>/reveal/", asking.reveal, names, name="reveal"),
        path("key/<slug:id8>/", views.key, name="key"),
        path("key/<slug:id8>/budget/", views.budget, name="budget"),
        path("key/<slug:id8>/revoke/", views.revoke, name="revoke"),
    ], "portal"
