"""GET /v1/realtime: a WebSocket of OpenAI's Realtime API, as a consumer of Channels.

Whatever is wrong before the session is open is an HTTP answer with an error in OpenAI's shape; afterwards it is an
`error` event and a close.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import urlsplit

from channels.consumer import AsyncConsumer  # type: ignore[import-untyped]
from channels.exceptions import StopConsumer  # type: ignore[import-untyped]
from django.conf import settings

from accounts.keys import KeyRejected, admit, may_use
from proxy import serving
from proxy.dialects.openai_chat import OpenAIChat
from proxy.errors import BadRequest, GatewayError, ModelNotFound, NotAllowed, NotAuthenticated, NotFound
from proxy.gateway import Gateway
from proxy.native.address import without_keys
from proxy.native.passing import allowed
from proxy.realtime import handshake
from proxy.realtime.opening import KINDS, REALTIME, Opened, Opening
from proxy.realtime.session import Session
from proxy.surfaces.access import grant_of, key_of, own_authorization
from proxy.surfaces.answers import Answer, allowed_origin, failed, marked, safe
from proxy.surfaces.gateway import current, only
from proxy.surfaces.request import GatewayRequest

log = logging.getLogger("qlite.realtime")

DIALECT = OpenAIChat()


class Nowhere(AsyncConsumer):  # type: ignore[misc]
    """A WebSocket at an address that has none."""

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Call the handler; Channels' own would also look after database connections, in a thread, each time."""
        if message["type"] == "websocket.connect":
            await self.connect(_request(self.scope))
        elif message["type"] == "websocket.disconnect":
            raise StopConsumer

    async def connect(self, request: GatewayRequest) -> None:
        await self._refuse(failed(request, NotFound("There is nothing at this address.")))

    async def _refuse(self, answer: Answer) -> NoReturn:
        """Answer the handshake in HTTP, and be done."""
        if "websocket.http.response" in self.scope.get("extensions", {}):
            await self.send(
                {"type": "websocket.http.response.start", "status": answer.status_code, "headers": answer.pairs}
            )
            await self.send({"type": "websocket.http.response.body", "body": answer.body})
        else:
            await self.send({"type": "websocket.close"})
        raise StopConsumer


class Realtime(Nowhere):
    """One session. Also what the session sees of its caller."""

    session: Session | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self.session is not None:
                self.session.stopping()

    async def dispatch(self, message: dict[str, Any]) -> None:
        if self.session is not None and message["type"] == "websocket.receive":
            text = message.get("text")
            await self.session.say(message["bytes"] if text is None else text)
        elif self.session is not None and message["type"] == "websocket.disconnect":
            self.session.hung_up(message.get("code"))
        await super().dispatch(message)

    async def connect(self, request: GatewayRequest) -> None:
        """Admit the caller, open a session at a provider, and only then accept."""
        try:
            gateway = current()
            opened, check = await _opened(request, gateway)
        except GatewayError as error:
            await self._refuse(failed(request, error))
        except Exception:
            log.exception("a session could not be opened, request %s", request.id)
            await self._refuse(failed(request, GatewayError("Something went wrong inside the gateway.")))
        call = request.call
        assert call is not None  # noqa: S101  for the type checker
        try:
            await self.send(
                {"type": "websocket.accept", "subprotocol": opened.wire.protocol, "headers": _headers(request, opened)}
            )
        finally:  # also when the caller has just left: it is the session that settles
            self.session = Session(gateway, call, opened, self, check=check, idle=settings.REALTIME_IDLE_SECONDS)
        watched = self.scope.get("extensions", {}).get("qlite.hangup")
        if watched is not None:
            watched["watch"](self.session.hung_up)

    async def tell(self, data: str | bytes) -> None:
        await self.send({"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data})

    async def leave(self, code: int, reason: str) -> None:
        await self.send({"type": "websocket.close", "code": code, "reason": reason})


async def without_upgrade(request: GatewayRequest) -> Answer:
    """The same address, asked for as a page."""
    only(request, "GET", "HEAD")
    raise BadRequest("This is a WebSocket: ask for an upgrade.", status=426, code="upgrade_required")


async def _opened(request: GatewayRequest, gateway: Gateway) -> tuple[Opened, Callable[[], None]]:
    """Return the session at a provider, and what raises as soon as its key is no longer good for it."""
    offered = handshake.protocols(request.raw_headers.get(b"sec-websocket-protocol", b""))
    if (key := handshake.key_in(offered)) and b"authorization" not in request.raw_headers:
        request.raw_headers[b"authorization"] = f"Bearer {key}".encode("latin-1", "replace")
    _check_origin(request)
    grant = grant_of(request, gateway)
    query = request.scope.get("query_string", b"").decode("latin-1")
    model = handshake.model_in(query)
    call = request.call = gateway.receive(
        grant, surface="realtime", request_id=request.id, client_request_id=request.client_id, size=0
    )
    call.dialect, call.tags_said = DIALECT, request.header(b"x-qlite-tags")
    if gateway.snapshot.forwards:
        call.authorization = own_authorization(request.raw_headers)
    call.passing = opening = Opening(
        kinds=KINDS,
        operation=REALTIME,
        method="WEBSOCKET",
        path="realtime",
        query=without_keys(query),
        headers=allowed(request.raw_headers),
        own_api=False,
        default_model=model,
        protocols=handshake.public(offered),
    )
    call.ask = opening.attempt
    reply = await serving.serve(gateway, call, b"")
    assert isinstance(reply, Opened)  # noqa: S101  for the type checker: `Opening` makes no other
    return reply, _checker(gateway, key_of(request.raw_headers, forwards=gateway.snapshot.forwards), model)


def _checker(gateway: Gateway, key: str, model: str) -> Callable[[], None]:
    def check() -> None:
        try:
            grant = admit(gateway.keys, key, now=gateway.clock())
        except KeyRejected as rejection:
            raise NotAuthenticated(str(rejection)) from None
        if not may_use(grant, model):
            raise ModelNotFound(model)

    return check


def _check_origin(request: GatewayRequest) -> None:
    """Raise NotAllowed for a page from elsewhere: what CORS does for the other surfaces has to be done here."""
    origin = request.header(b"origin")
    if origin and urlsplit(origin).netloc != request.header(b"host") and allowed_origin(request.raw_headers) is None:
        raise NotAllowed("Pages of this origin may not call the gateway.", code="origin_not_allowed")


def _request(scope: Any) -> GatewayRequest:
    return GatewayRequest({**scope, "method": "GET"}, b"", time.time())


def _headers(request: GatewayRequest, opened: Opened) -> list[tuple[bytes, bytes]]:
    pairs = [(b"x-provider", safe(opened.provider)), (b"x-qlite-target", safe(opened.target))]
    if len(opened.attempts) > 1:
        pairs.append((b"x-qlite-attempts", safe(", ".join(opened.attempts))))
    return marked(request, pairs)
