"""The pages: sign-in, keys, reports, admin. The gateway's own URLs are in proxy/urls.py and pass no middleware."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView, TemplateView

from accounts.portal.urls import urls as keys
from qlite_site import apidocs
from qlite_site.simulate import pages as simulate
from qlite_site.throttle import PasswordChangeView
from routing.store import latest


def route_names() -> list[str]:
    """What can be asked for, whole names before patterns."""
    revision = latest()
    routes = revision.document["routes"] if revision else []
    names = [route["name"] for route in routes if route.get("enabled", True)]
    return sorted(names, key=lambda name: ("*" in name, name))


FACTS = {"url": settings.PUBLIC_URL, "version": settings.VERSION, "script": settings.FORCE_SCRIPT_NAME or ""}
home = TemplateView.as_view(template_name="home.html", extra_context=FACTS)

handler404 = "qlite_site.nowhere.not_found"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home, name="home"),  # for browsers; programs get JSON from the gateway's own view
    path("login/", auth.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("password/", PasswordChangeView.as_view(), name="password_change"),
    path(
        "password/done/",
        auth.PasswordChangeDoneView.as_view(template_name="registration/password_done.html"),
        name="password_change_done",
    ),
    *apidocs.urls,
    path("keys/", include(keys(route_names))),
    path("reports/", include("accounts.reports.urls")),
    *simulate.urls(),
    path("admin/password_change/", RedirectView.as_view(pattern_name="password_change")),  # one page, one throttle
    path("admin/", admin.site.urls),
]
