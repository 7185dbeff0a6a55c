"""Providers' own APIs behind our keys (`/openai/v1/...` and its like), and operations of `/v1` that just pass."""

import re

from accounts.keys import Grant
from proxy import serving
from proxy.call import Reply
from proxy.delivery import cost_text
from proxy.errors import BadRequest, NotFound, UnsupportedMedia
from proxy.native import operations, send
from proxy.native.address import without_keys
from proxy.native.operations import Operation
from proxy.native.passing import OWN_API, Passing, allowed
from proxy.native.send import PassedReply
from proxy.native.shapes import Shape
from proxy.surfaces.access import grant_of, own_authorization
from proxy.surfaces.answers import Answer, marked, replied, safe
from proxy.surfaces.chat import View
from proxy.surfaces.gateway import current, only
from proxy.surfaces.request import GatewayRequest
from proxy.ways import OPENAI_KINDS

TAKES = OPENAI_KINDS - {"stub"}  # the kinds that operations of /v1 go to
SHAPES = {family: Shape(family) for family in operations.FAMILIES.values()}
_TRACE = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C trace context, level 1


def own_api(kind: str) -> View:
    """Return the view of the own API of a kind of provider: anything below its version goes on as it is."""

    async def view(request: GatewayRequest, *, before: str, version: str, path: str) -> Answer:
        passing = below(request, kind, f"/{before}/{version}/", version=version)
        grant = grant_of(request, current(), key_in_url=kind == "gemini")
        return await passed_on(request, kind + OWN_API, passing, grant)

    return view


def below(
    request: GatewayRequest, kind: str, prefix: str, *, version: str, operation: Operation | None = None
) -> Passing:
    """Return the call of a kind's own API at what follows `prefix`. Raises NotFound and MethodNotAllowed."""
    family = operations.FAMILIES[kind]
    shape = SHAPES[family]
    request.dialect = shape.dialect
    only(request, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    # The path as it was sent: what stands before `path` holds no escapes, or it is another address.
    raw = (request.scope.get("raw_path") or request.path.encode()).decode("latin-1")
    if not raw.startswith(prefix):
        raise NotFound("There is nothing at this address.")
    raw = raw[len(prefix) :]
    query = request.scope.get("query_string", b"").decode("latin-1")
    return Passing(
        kinds=frozenset({kind}),
        operation=operation or operations.find(family, request.method, raw),
        method=request.method,
        path=raw,
        version=version,
        query=without_keys(query) if query else "",
        shape=shape,
    )


def operation(path: str, *, model: str = "") -> View:
    """Return the view of an operation of `/v1` that goes to a target of the same dialect; `model` if none is named."""
    known = operations.TABLE[operations.OPENAI][path]

    async def view(request: GatewayRequest) -> Answer:
        only(request, "POST")
        passing = Passing(kinds=TAKES, operation=known, method="POST", path=path, own_api=False, default_model=model)
        return await passed_on(request, known.name, passing, grant_of(request, current()))

    return view


async def passed_on(request: GatewayRequest, surface: str, passing: Passing, grant: Grant) -> Answer:
    """Admit, serve, answer. Every error on the way is in the ledger: the key was good."""
    gateway = current()
    body = request.body
    call = request.call = gateway.receive(
        grant, surface=surface, request_id=request.id, client_request_id=request.client_id, size=len(body)
    )
    call.dialect = passing.operation.dialect or passing.shape.dialect
    call.passing, call.ask = passing, send.attempt
    call.headers = request.raw_headers
    if gateway.snapshot.forwards:
        call.authorization = own_authorization(request.raw_headers)
    passing.content_type = request.header(b"content-type")
    headers = request.raw_headers
    if b"x-qlite-tags" in headers:
        call.tags_said = request.header(b"x-qlite-tags")
    if not _TRACE.fullmatch(headers.get(b"traceparent", b"")):
        headers = {name: value for name, value in headers.items() if name != b"traceparent"}
    passing.headers = allowed(headers)
    return passed(request, await serving.serve(gateway, call, body, lambda: _check(request)))


def _check(request: GatewayRequest) -> None:
    if request.header(b"content-encoding") not in {"", "identity"}:
        raise UnsupportedMedia("A compressed body is not accepted.", code="unsupported_encoding")
    if len(request.raw_headers) != len(request.scope["headers"]) and _twice(request, b"content-type"):
        raise BadRequest("The header content-type was sent more than once.", code="bad_request")


def _twice(request: GatewayRequest, name: bytes) -> bool:
    return sum(1 for given, _ in request.scope["headers"] if given == name) > 1


def passed(request: GatewayRequest, reply: Reply) -> Answer:
    """Return the answer that brings `reply` to the caller with the provider's own status, headers and bytes."""
    if not isinstance(reply, PassedReply):
        return replied(request, reply)  # a stage of somebody's answered by itself
    pairs = [
        *reply.pairs,
        (b"x-provider", safe(reply.provider)),
        (b"x-qlite-target", safe(reply.target)),
        (b"x-cache", reply.cache.encode()),
    ]
    if len(reply.attempts) > 1:
        pairs.append((b"x-qlite-attempts", safe(", ".join(reply.attempts))))
    if request.call is not None and request.call.unkept:
        pairs.append((b"x-qlite-ignored", safe(", ".join(request.call.unkept))))
    if reply.error is not None:
        pairs.append((b"x-error-origin", b"upstream"))
    if reply.stream is not None:
        pairs += [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
        answer = Answer(reply.status, marked(request, pairs), chunks=reply.stream)
        answer.events = False  # a comment would stand in the middle of whatever passes
        return answer
    pairs.append((b"x-request-cost", cost_text(reply.cost_nano).encode()))
    return Answer(reply.status, marked(request, pairs), reply.body)
