"""Django's ASGI handler without threads, for views that never touch the ORM (docs/decisions/0001).

Left out on purpose: middleware, the request_started and request_finished signals (their receivers tend database
connections), and ThreadSensitiveContext. Views stay ordinary async Django views.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.http import Http404, HttpResponse
from django.urls import ResolverMatch, URLResolver, get_resolver

from proxy.call import STOPPING, Chunks
from proxy.errors import GatewayError, NotFound, Unavailable
from proxy.surfaces.answers import Answer, failed, preflight
from proxy.surfaces.request import GatewayRequest

log = logging.getLogger("qlite.handler")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Coroutine[Any, Any, None]]

KEEPALIVE = b": keep-alive\n\n"  # between whole events only, which is all that a stream hands on
HUNG_UP = "caller_hung_up"
NEVER = 86_400.0 * 365


class GatewayHandler(ASGIHandler):
    """Resolves, calls the view, sends. A stream that is silent for `keepalive` seconds gets a comment."""

    def __init__(self, urlconf: str, *, keepalive: float) -> None:
        self._resolver: URLResolver = get_resolver(urlconf)
        self._exact: dict[str, ResolverMatch] = {}
        self._keepalive = keepalive

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]
        body = await _read(receive)
        if body is None:
            return  # gone before it had asked
        request = GatewayRequest(scope, body, time.time())
        watch = _watch(request, receive)
        try:
            answer = await self._answer(request)
            if isinstance(answer, Answer) and answer.chunks is not None:
                await self._send_stream(answer, answer.chunks, send)
            else:
                content = _content(answer)
                await send(_start(answer, content))
                await send({"type": "http.response.body", "body": content})
        except asyncio.CancelledError as cancelled:
            if cancelled.args != (HUNG_UP,):
                raise  # the server is stopping, not the caller
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
        finally:
            if watch is not None:
                watch.cancel()

    async def _answer(self, request: GatewayRequest) -> HttpResponse:
        try:
            if request.method == "OPTIONS" and (allowed := preflight(request)):
                return allowed
            match = self._exact.get(request.path) or self._resolve(request.path)
            request.resolver_match = match
            answer: HttpResponse = await match.func(request, *match.args, **match.kwargs)
        except GatewayError as error:
            return failed(request, error)
        except Http404:
            return failed(request, NotFound("There is nothing at this address."))
        except asyncio.CancelledError as cancelled:
            if cancelled.args != (STOPPING,):
                raise
            return failed(request, Unavailable("The gateway is shutting down.", code=STOPPING))
        except Exception:
            log.exception("a view raised, request %s", request.id)
            return failed(request, GatewayError("Something went wrong inside the gateway."))
        return answer

    def _resolve(self, path: str) -> ResolverMatch:
        match = self._resolver.resolve(path)
        if not match.kwargs and not match.args:
            self._exact[path] = match
        return match

    async def _send_stream(self, answer: Answer, chunks: Chunks, send: Send) -> None:
        keeper = Keepalive(send, self._keepalive if answer.events else NEVER)
        try:
            await send(_start(answer))
            more = True
            while more:
                part = await chunks.next()
                more = bool(part) and not chunks.over
                await send({"type": "http.response.body", "body": part, "more_body": more})
                keeper.last_sent = time.monotonic()
        finally:
            keeper.stop()
            chunks.close()


class Keepalive:
    """Sends a comment whenever a stream has been silent for `seconds`. One timer, whatever the number of chunks."""

    def __init__(self, send: Send, seconds: float) -> None:
        self._send, self._seconds = send, seconds
        self._loop = asyncio.get_running_loop()
        self._sending: set[asyncio.Task[None]] = set()
        self._timer = self._loop.call_later(seconds, self._look)
        self.last_sent = time.monotonic()

    def _look(self) -> None:
        silent = time.monotonic() - self.last_sent
        if silent >= self._seconds:
            self.last_sent, silent = time.monotonic(), 0.0
            comment = self._send({"type": "http.response.body", "body": KEEPALIVE, "more_body": True})
            task = self._loop.create_task(comment)
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        self._timer = self._loop.call_later(self._seconds - silent, self._look)

    def stop(self) -> None:
        self._timer.cancel()


async def _read(receive: Receive) -> bytes | None:
    """Return the request's body, None if the caller left. The server has seen to its size."""
    message = await receive()
    parts: list[bytes] = []
    while message["type"] == "http.request":
        if not message.get("more_body"):
            body: bytes = message.get("body", b"")
            return b"".join([*parts, body]) if parts else body
        parts.append(message.get("body", b""))
        message = await receive()
    return None


def _watch(request: GatewayRequest, receive: Receive) -> "asyncio.Task[None] | None":
    """Watch for a hang-up: stop a stream; note it on a plain call, which is paid for and runs to its end.

    Our own server calls back, which saves a task for each request; of others the disconnect has to be awaited.
    """
    task = asyncio.current_task()

    def hung_up() -> None:
        call = request.call
        if call is not None:
            call.entry.client_gone = True
            if call.entry.stream and task is not None:
                task.cancel(HUNG_UP)

    async def wait() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        hung_up()

    ours = request.scope.get("extensions", {}).get("qlite.hangup")
    if ours is None:
        return asyncio.ensure_future(wait())
    ours["watch"](hung_up)
    return None


def _start(answer: HttpResponse, content: bytes | None = None) -> dict[str, Any]:
    pairs = answer.pairs if isinstance(answer, Answer) else _pairs(answer)
    if content is not None:
        pairs.append((b"content-length", b"%d" % len(content)))
    return {"type": "http.response.start", "status": answer.status_code, "headers": pairs}


def _pairs(answer: HttpResponse) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.items()]


def _content(answer: HttpResponse) -> bytes:
    return answer.body if isinstance(answer, Answer) else answer.content
