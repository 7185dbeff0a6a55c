"""The ASGI application: the gateway's URLs go to the lean handler, every other page to stock Django.

Server-neutral: under any server but `qlite serve` the first request starts the background work.
"""

import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "qlite_site.settings")

import django

django.setup(set_prefix=False)

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.http.request import split_domain_port, validate_host

from qlite_site import proxies, wiring
from qlite_site.handler import GatewayHandler
from qlite_site.live.routing import application as live

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[Any], Coroutine[Any, Any, None]]

GATEWAY_PREFIXES = ("/v1/", "/v1beta/", "/proxy/", "/openai/", "/anthropic/", "/gemini/", "/groq/")
GATEWAY_PATHS = frozenset({"/", "/v1", "/v1beta", "/proxy", "/health", "/healthz", "/readyz", "/metrics"})
KNOWN_HOSTS = 1024


class Application:
    """Checks the host, fixes the root path, and hands each request to the handler it belongs to."""

    def __init__(self) -> None:
        self._gateway = GatewayHandler("proxy.urls", keepalive=settings.KEEPALIVE_SECONDS)
        self._pages = ASGIHandler()
        self._pages.load_middleware(is_async=True)
        self._hosts: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            raise ValueError(f"{scope['type']} is not served here")
        wiring.ensure_started()
        if not self._host_allowed(scope):
            await _refuse_host(scope, send)
            return
        scope["root_path"] = settings.FORCE_SCRIPT_NAME or ""
        if settings.TRUSTED_PROXIES and scope.get("client"):
            peer, port = scope["client"]
            scope["client"] = (proxies.caller(peer, scope["headers"], settings.TRUSTED_PROXIES), port)
        if scope["type"] == "websocket":
            await live(scope, receive, send)
            return
        path = scope["path"]
        if path == "/" and _is_browser(scope):
            await self._pages(_below(scope), receive, send)
        elif path in GATEWAY_PATHS or path.startswith(GATEWAY_PREFIXES):
            await self._gateway(scope, receive, send)
        else:
            await self._pages(_below(scope), receive, send)

    def _host_allowed(self, scope: Scope) -> bool:
        """Say whether the one Host header names a host in QLITE_ALLOWED_HOSTS; on every URL, pages or not."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            return False
        if hosts[0] in self._hosts:
            return True
        domain, _ = split_domain_port(hosts[0].decode("latin-1"))
        allowed = bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)
        if allowed and len(self._hosts) < KNOWN_HOSTS:
            self._hosts.add(hosts[0])
        return allowed


def _below(scope: Scope) -> Scope:
    """Return `scope` with the path that people see: a proxy took QLITE_SCRIPT_NAME off, Django expects it there."""
    return scope | {"path": scope["root_path"] + scope["path"]} if scope["root_path"] else scope


def _is_browser(scope: Scope) -> bool:
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


async def _refuse_host(scope: Scope, send: Send) -> None:
    body = wiring.error_body(400, "invalid_host", "This host name is not in QLITE_ALLOWED_HOSTS.", b"/")
    headers = wiring.error_headers(scope["headers"])
    answer = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    await send({"type": f"{answer}.start", "status": 400, "headers": headers})
    await send({"type": f"{answer}.body", "body": body})


application = Application()
