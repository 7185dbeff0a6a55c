"""What the server needs to be told: where to listen, how long to wait, and the app to call."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Headers = list[tuple[bytes, bytes]]
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Answer = tuple[int, Headers, bytes]
Early = Callable[[str, bytes, Headers, str], Answer | None]
ErrorBody = Callable[[int, str, str, bytes], bytes]


def _error_body(status: int, code: str, message: str, path: bytes) -> bytes:
    """Return an error in OpenAI's shape, for apps that bring no shape of their own."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


def _no_more_headers(headers: Headers) -> Headers:
    """Say no more than what is needed."""
    return []


def _nothing_to_start(index: int) -> None:
    """Start nothing."""


def _nothing_to_stop() -> None:
    """Stop nothing."""


def _nothing_to_bury(pid: int) -> None:
    """A dead worker leaves nothing behind."""


def _let_it_come(method: str, target: bytes, headers: Headers, address: str) -> None:
    """Read every body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Everything the server may be told. Durations are in seconds, sizes in bytes."""

    bind: str
    """HOST:PORT; an IPv6 address stands in brackets; port 0 takes a free one."""
    app: Callable[[], ASGIApp]
    """Makes the app. Called once in each worker, after the fork and after uvloop is installed."""
    workers: int = 1
    """1 serves in this process; more are forked and share the listening socket."""

    max_request_bytes: int = 64 * 1024 * 1024
    max_connections: int = 0
    """Of each worker; 0 is no limit. Whoever comes after that gets a 503."""

    header_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: float = 75.0
    """How long a connection may stay open without a request."""
    write_stall_seconds: float = 60.0
    """How long a reader may take nothing at all before its connection is cut."""
    drain_seconds: float = 30.0
    """How long requests in flight may go on after SIGTERM before they are cancelled."""
    abandon_seconds: float = 10.0
    """How long an app may go on after its client has hung up before it is cancelled."""

    root_path: str = ""
    websockets: bool = False
    """Hand WebSocket upgrades to Daphne's own protocol; off, they get a 400."""

    on_start: Callable[[int], None] = _nothing_to_start
    """Called with the worker's number, from 0, before it accepts connections."""
    on_stop: Callable[[], Awaitable[None] | None] = _nothing_to_stop
    """Called after the drain, before the exit, on the loop's thread; what it returns is awaited if it can be."""
    on_death: Callable[[int], None] = _nothing_to_bury
    """Called in the parent with the process id of a worker that has ended."""
    early: Early = _let_it_come
    """Asked before a large body is read (chunked, above 64 KiB, or `Expect: 100-continue`): method, request target
    with its query, headers, the client's address. An answer is sent at once and the connection closed; None lets the
    body come."""
    error_body: ErrorBody = _error_body
    """Makes the JSON of errors that the server itself answers: status, code, message, path without query."""
    error_headers: Callable[[Headers], Headers] = _no_more_headers
    """Makes further headers for those errors, such as a request id, from those of the request, if it had any."""
