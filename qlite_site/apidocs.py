"""The description of the API, /openapi.yaml, and the two pages that show it: open to everybody, and self-contained."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.views.decorators.http import require_safe

DESCRIPTION = Path(__file__).parent / "openapi.yaml"
# Both write their colours into the page. Their scripts come from here, and the only thing they may ask is this gateway.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@cache
def _text() -> bytes:
    return DESCRIPTION.read_bytes()


@require_safe
def description(request: HttpRequest) -> HttpResponse:
    """GET /openapi.yaml."""
    return HttpResponse(_text(), content_type="application/yaml", headers={"Cache-Control": "no-cache"})


def shown_by(template: str) -> Callable[[HttpRequest], HttpResponse]:
    """Return the view of a page that shows the description."""

    def view(request: HttpRequest) -> HttpResponse:
        response = render(request, template)
        response.headers["Content-Security-Policy"] = POLICY
        return response

    return require_safe(view)


urls: list[URLPattern] = [
    path("openapi.yaml", description, name="openapi"),
    path("docs", shown_by("api/swagger.html"), name="docs"),
    path("redoc", shown_by("api/redoc.html"), name="redoc"),
]
