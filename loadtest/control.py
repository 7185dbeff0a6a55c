"""The control of every benchmark: a pass-through without Django, keys or ledger, aiohttp under stock Daphne on uvloop.

    python -m loadtest.control --port 9980 --upstream http://127.0.0.1:9999

It does what no gateway can leave out, and nothing else; what a gateway costs is given as a ratio to it. With
`--server uvicorn` (not among our requirements) the same application shows what Daphne itself costs.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

import aiohttp
import uvloop

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
KEPT_HEADERS = (b"content-type", b"x-request-id")


class PassThrough:
    """An ASGI application: the body of each request goes to the same path upstream, the answer's bytes come back."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if self._session is None:
            # Made here, since it needs the running loop; one for the life of the process.
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        body = await _read(receive)
        url, headers = self._upstream + scope["path"], {"content-type": "application/json"}
        async with self._session.request(scope["method"], url, data=body, headers=headers) as answer:
            kept = [(name.lower(), value) for name, value in answer.raw_headers if name.lower() in KEPT_HEADERS]
            await send({"type": "http.response.start", "status": answer.status, "headers": kept})
            async for part in answer.content.iter_any():
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _read(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def main() -> None:
    """Serve until a signal."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.control", description="The pass-through control.")
    parser.add_argument("--port", type=int, default=9980)
    parser.add_argument("--upstream", default="http://127.0.0.1:9999", help="where the mock server listens")
    parser.add_argument("--server", choices=("daphne", "uvicorn"), default="daphne")
    asked = parser.parse_args()
    serve = _under_daphne if asked.server == "daphne" else _under_uvicorn
    serve(PassThrough(asked.upstream.rstrip("/").removesuffix("/v1")), asked.port)


def _under_daphne(app: PassThrough, port: int) -> None:
    # Before the import: Daphne makes its loop while it is imported.
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    from daphne.endpoints import build_endpoint_description_strings  # type: ignore[import-untyped]
    from daphne.server import Server  # type: ignore[import-untyped]

    Server(app, endpoints=build_endpoint_description_strings(host="127.0.0.1", port=port), verbosity=0).run()


def _under_uvicorn(app: PassThrough, port: int) -> None:
    try:
        uvicorn = import_module("uvicorn")
    except ImportError:
        sys.exit("uvicorn is not installed; it is only needed for --server uvicorn")
    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning", lifespan="off")


if __name__ == "__main__":
    main()
