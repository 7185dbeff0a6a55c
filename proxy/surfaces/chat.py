"""The surfaces that ask a model: OpenAI's chat, and every other dialect through the same few lines."""

from collections.abc import Callable, Coroutine
from typing import Any

from proxy import serving
from proxy.call import Call
from proxy.dialects.base import Dialect
from proxy.surfaces.access import grant_of, own_authorization, require_json
from proxy.surfaces.answers import Answer, replied
from proxy.surfaces.gateway import current, only
from proxy.surfaces.request import GatewayRequest

# What Anthropic's clients say of the version they speak must reach it unchanged; OpenAI's betas likewise.
CARRIED = (b"anthropic-version", b"anthropic-beta", b"openai-beta")
View = Callable[..., Coroutine[Any, Any, Answer]]


async def chat_completions(request: GatewayRequest) -> Answer:
    """POST /v1/chat/completions: the inner dialect itself."""
    return await ask(request, "chat", None)


def surface(name: str, dialect: Dialect, *, key_in_url: bool = False) -> View:
    """Return the view of a surface that speaks `dialect`. What the URL says (model, stream, ...) comes as arguments."""

    async def view(request: GatewayRequest, **url: Any) -> Answer:
        request.dialect = dialect
        return await ask(request, name, dialect, key_in_url=key_in_url, **url)

    return view


async def ask(
    request: GatewayRequest, surface: str, dialect: Dialect | None, *, key_in_url: bool = False, **url: Any
) -> Answer:
    """Admit, serve, answer. Every error on the way is in the ledger once the key was good."""
    only(request, "POST")
    gateway = current()
    grant = grant_of(request, gateway, key_in_url=key_in_url)
    body = request.body
    call = request.call = gateway.receive(
        grant, surface=surface, request_id=request.id, client_request_id=request.client_id, size=len(body)
    )
    call.dialect = dialect
    _note_headers(request, call)
    if gateway.snapshot.forwards and (own := own_authorization(request.raw_headers)):
        call.authorization = own
        call.reads_cache = call.writes_cache = False  # the provider decides who may read what it says
    reply = await serving.serve(gateway, call, body, lambda: require_json(request), **url)
    return replied(request, reply)


def _note_headers(request: GatewayRequest, call: Call) -> None:
    headers = call.headers = request.raw_headers
    if call.dialect is not None:
        call.carried = tuple((name.decode(), request.header(name)) for name in CARRIED if name in headers)
    if b"x-qlite-tags" in headers:
        call.tags_said = request.header(b"x-qlite-tags")
    if b"traceparent" in headers:
        call.traceparent = request.header(b"traceparent")
    if b"cache-control" in headers:
        wishes = request.header(b"cache-control").lower()
        call.writes_cache = "no-store" not in wishes
        call.reads_cache = call.writes_cache and "no-cache" not in wishes
