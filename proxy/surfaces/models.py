"""GET /v1/models: what this key may ask for, in the shape of OpenAI, Anthropic or Gemini."""

from collections.abc import Callable
from typing import Any

from accounts.keys import Grant, may_use
from accounts.prices import Book
from proxy.errors import ModelNotFound, NotFound
from proxy.surfaces import paging
from proxy.surfaces.access import grant_of
from proxy.surfaces.answers import Answer, as_json
from proxy.surfaces.gateway import current, only
from proxy.surfaces.request import GatewayRequest
from proxy.surfaces.shape import ANTHROPIC, GEMINI
from routing.snapshot import Snapshot
from routing.values import Route


async def list_models(request: GatewayRequest, *, gemini: bool = False) -> Answer:
    shape = _shape_for(request, gemini)
    only(request, "GET", "HEAD")
    gateway = current()
    grant = grant_of(request, gateway, key_in_url=shape is _gemini)
    snapshot = gateway.snapshot  # read once: it may be swapped at any moment
    models = [shape(snapshot, name, grant.team) for name in usable(snapshot, gateway.book, grant)]
    if shape is _gemini:
        return as_json(request, paging.gemini(models, request.GET))
    if shape is _anthropic:
        return as_json(request, paging.anthropic(models, request.GET))
    return as_json(request, {"object": "list", "data": models})


async def one_model(request: GatewayRequest, model: str, *, gemini: bool = False) -> Answer:
    shape = _shape_for(request, gemini)
    if request.method == "POST" and ":" in model:
        raise NotFound(f"There is no method {model.rpartition(':')[2][:64]!r} here. Google's own API is at /gemini.")
    only(request, "GET", "HEAD")
    gateway = current()
    grant = grant_of(request, gateway, key_in_url=shape is _gemini)
    snapshot = gateway.snapshot
    if snapshot.find(model, grant.team) is None or not may_use(grant, model):
        raise ModelNotFound(model)
    return as_json(request, shape(snapshot, model, grant.team))


def _shape_for(request: GatewayRequest, gemini: bool) -> Callable[[Snapshot, str, str], dict[str, Any]]:
    """Return the shape the caller reads: three dialects share /v1/models, and each client gives itself away."""
    if gemini or b"x-goog-api-key" in request.raw_headers:
        request.dialect = GEMINI
        return _gemini
    if b"anthropic-version" in request.raw_headers:
        request.dialect = ANTHROPIC
        return _anthropic
    return _openai


def usable(snapshot: Snapshot, book: Book, grant: Grant) -> list[str]:
    """Return the names that `grant` may use: those of exact routes, and the priced models that a pattern leads to.

    What else a pattern may lead to is known to its provider alone, who is not asked.
    """
    found = dict.fromkeys(snapshot.names(grant.team))
    for route in snapshot.routes:
        if "*" in route.name and route.enabled and route.team in {"", grant.team}:
            found.update(dict.fromkeys(_listed(snapshot, book, route, grant.team)))
    return [name for name in found if may_use(grant, name)]


def _listed(snapshot: Snapshot, book: Book, route: Route, team: str) -> list[str]:
    """Return the names that match a pattern route and lead to a model with a price."""
    before, _, after = route.name.partition("*")
    listed: list[str] = []
    for target in route.targets[:1]:
        start, star, end = (target.model or route.name).partition("*")
        models = [model for model in book.models(target.provider.kind) if star and _fits(model, start, end)]
        listed += [before + model[len(start) : len(model) - len(end)] + after for model in models]
    return [name for name in listed if (match := snapshot.find(name, team)) and match.route is route]


def _fits(model: str, start: str, end: str) -> bool:
    return model.startswith(start) and model.endswith(end) and len(model) > len(start) + len(end)


def _openai(snapshot: Snapshot, name: str, team: str) -> dict[str, Any]:
    match = snapshot.find(name, team)
    owner = match.targets[0].provider.name if match and match.targets else "qlite"
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}


def _anthropic(snapshot: Snapshot, name: str, team: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}


def _gemini(snapshot: Snapshot, name: str, team: str) -> dict[str, Any]:
    methods = ["generateContent", "streamGenerateContent", "countTokens"]
    return {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": methods}
