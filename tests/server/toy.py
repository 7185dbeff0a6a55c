"""An ASGI app with a path for each thing an app may do to a server, and the process that serves it.

Run as `python -m tests.server.toy '{"config": {...}, "toy": {...}}'`. Prints one JSON line for each start and stop of a
worker. `/events` tells what the other paths have noticed so far.
"""

import asyncio
import hashlib
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from qlite_site.server import ServerConfig, serve, state

events: list[Any] = []
turns: list[int] = []  # of the loop, counted once somebody has asked in which one his request was begun
TURNS_COUNTED = 100_000  # about a second
COUNTS = {"size": 1024, "n": 10, "status": 200}


def say(**facts: Any) -> None:
    # One write, so that the lines of several workers do not mix.
    os.write(1, (json.dumps(facts) + "\n").encode())


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await talk(scope, receive, send)
        return
    name = scope["path"].strip("/").split("/")[0] or "plain"
    query = {key: int(value) for key, value in parse_qsl(scope["query_string"].decode()) if value.isdigit()}
    await PATHS.get(name, plain)(scope, receive, send, {**COUNTS, **query})


async def start(send: Any, status: int = 200, headers: Any = ()) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def part(send: Any, body: bytes, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def answer(send: Any, facts: Any) -> None:
    body = json.dumps(facts).encode()
    await start(send, headers=[(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))])
    await part(send, body, False)


async def whole_body(receive: Any) -> tuple[bytes, int]:
    pieces, more = [], True
    while more:
        message = await receive()
        pieces.append(message["body"])
        more = message.get("more_body", False)
    return b"".join(pieces), len(pieces)


async def plain(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    await receive()
    await start(send, ask["status"], [(b"content-type", b"text/plain"), (b"content-length", b"2")])
    await part(send, b"ok", False)


async def echo(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    body, pieces = await whole_body(receive)
    await answer(send, {"length": len(body), "sha256": hashlib.sha256(body).hexdigest(), "pieces": pieces})


async def show_scope(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    shown = {key: value for key, value in scope.items() if key not in {"extensions", "asgi"}}
    shown["headers"] = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
    shown["raw_path"], shown["query_string"] = scope["raw_path"].decode(), scope["query_string"].decode()
    await answer(send, shown | {"pid": os.getpid(), "loop": type(asyncio.get_running_loop()).__module__})


async def show_events(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    tasks = len(asyncio.all_tasks())
    await answer(send, {"events": events, "in_flight": state.in_flight, "tasks": tasks, "pid": os.getpid()})


async def stream(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    """Send `n` chunks of `size` bytes, `pause` milliseconds apart, with a last line that says it is the last."""
    await start(send, headers=[(b"content-type", b"text/event-stream")])
    try:
        for number in range(ask["n"]):
            await part(send, b"%d " % number + b"x" * ask["size"] + b"\n")
            if "pause" in ask:
                await asyncio.sleep(ask["pause"] / 1000)
        await part(send, b"[DONE]\n", False)
    except asyncio.CancelledError as cancelled:
        events.append(["cancelled", *cancelled.args])
        await part(send, b"error: server_shutting_down\n", False)


async def counted(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    """Send `size` bytes with a content length, in one message."""
    await start(send, headers=[(b"content-length", b"%d" % ask["size"])])
    await part(send, b"x" * ask["size"], False)


async def pressed(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    """Send up to `n` MiB, noting how far it came and when the client was told to have left."""
    watcher = asyncio.create_task(_until_disconnect(receive))
    await start(send)
    sent = 0
    for _ in range(ask["n"]):
        await part(send, b"x" * 2**20)
        sent += 1
        if watcher.done():
            break
    watcher.cancel()
    events.append(["pressed", sent])
    await part(send, b"", False)


async def _until_disconnect(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    events.append("disconnect")


async def waiting(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    """Answer only after `pause` milliseconds, unless the client leaves before."""
    scope["extensions"]["qlite.hangup"]["watch"](lambda: events.append("hangup"))
    watcher = asyncio.create_task(_until_disconnect(receive))
    await asyncio.wait([watcher], timeout=ask.get("pause", 30_000) / 1000)
    if watcher.done():
        return
    watcher.cancel()
    await answer(send, {"late": True})


async def deaf(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    """Never notice that the client has left."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError as cancelled:
        events.append(["cancelled", *cancelled.args])
        raise


async def fail(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    raise ValueError("boom before the start")


async def fail_started(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    await start(send)
    raise ValueError("boom before the first byte")


async def fail_late(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    await start(send)
    await part(send, b"the first part")
    await asyncio.sleep(0.05)
    raise ValueError("boom after the first byte")


async def silent(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    """Return without an answer."""


async def too_short(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    await start(send, headers=[(b"content-length", b"100")])
    await part(send, b"only this", False)


async def too_short_late(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    await start(send, headers=[(b"content-length", b"100")])
    await part(send, b"only this")
    await part(send, b"", False)


async def too_long(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    await start(send, headers=[(b"content-length", b"4")])
    await part(send, b"only this", False)


async def bad_header(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    await start(send, headers=[(b"x-evil", b"a\r\nset-cookie: stolen=1")])
    await part(send, b"", False)


async def without_body(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    await start(send, ask["status"])
    await part(send, b"never to be seen", False)


async def closing(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    await start(send, headers=[(b"content-length", b"2"), (b"connection", b"close")])
    await part(send, b"ok", False)


async def die(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    os._exit(3)


async def start_refusal(send: Any) -> None:
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"3")]
    await send({"type": "websocket.http.response.start", "status": 429, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b'{"error":{"code":"later"}}'})


async def flood(send: Any) -> None:
    """Send up to 64 MiB, noting how far it came."""
    events.append(0)
    for sent in range(64):
        events[-1] = sent
        await send({"type": "websocket.send", "bytes": b"x" * 2**20})


async def talk(scope: Any, receive: Any, send: Any) -> None:
    """Echo what comes over a WebSocket; fail, leave or reject when asked to."""
    assert (await receive())["type"] == "websocket.connect"
    scope["extensions"]["qlite.hangup"]["watch"](lambda code: events.append("hangup"))
    if scope["path"] == "/reject":
        await send({"type": "websocket.close"})
        return
    if scope["path"] == "/refuse":
        await start_refusal(send)
        return
    headers = [(b"x-told", b"yes")]
    await send({"type": "websocket.accept", "headers": headers, "subprotocol": (scope["subprotocols"] or [None])[0]})
    if scope["path"] == "/busy":
        await asyncio.sleep(30)
    if scope["path"] == "/flood":
        await flood(send)
        return
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("bytes") is not None:
            await send({"type": "websocket.send", "bytes": message["bytes"]})
            continue
        if message["text"] == "fail":
            raise ValueError("boom in a websocket")
        if message["text"] == "leave":
            return
        if message["text"] == "dismiss":
            await send({"type": "websocket.close", "code": 1008, "reason": "enough"})
            continue
        told = [message["text"], scope["path"], scope["root_path"], scope["query_string"].decode(), scope["client"][0]]
        await send({"type": "websocket.send", "text": json.dumps(told)})
    events.append(["websocket", message["code"]])


async def begun(scope: Any, receive: Any, send: Any, ask: dict[str, int]) -> None:
    """Tell in which turn of the loop this request was begun."""
    if not turns:
        turns.append(0)
        count_turns()
    await answer(send, turns[0])


def count_turns() -> None:
    turns[0] += 1
    if turns[0] < TURNS_COUNTED:
        asyncio.get_running_loop().call_soon(count_turns)


PATHS = {
    "echo": echo,
    "begun": begun,
    "scope": show_scope,
    "events": show_events,
    "stream": stream,
    "counted": counted,
    "pressed": pressed,
    "waiting": waiting,
    "deaf": deaf,
    "fail": fail,
    "fail-started": fail_started,
    "fail-late": fail_late,
    "silent": silent,
    "too-short": too_short,
    "too-short-late": too_short_late,
    "too-long": too_long,
    "bad-header": bad_header,
    "without-body": without_body,
    "closing": closing,
    "die": die,
}


def early(method: str, target: bytes, headers: Any, address: str) -> Any:
    """Ask for a key before a large body is read."""
    if dict(headers).get(b"authorization") == b"Bearer unknown" and address == "127.0.0.1":
        return 401, [(b"content-type", b"application/json"), (b"content-length", b"2")], b"{}"
    return None


def main() -> int:
    given = json.loads(sys.argv[1])
    toy = given.get("toy", {})
    logging.basicConfig(stream=sys.stderr, level="INFO", format="%(levelname)s %(name)s %(message)s")

    def on_start(index: int) -> None:
        if toy.get("die_at_start"):
            os._exit(4)
        if toy.get("slow_start"):
            say(starting=os.getpid())
            time.sleep(toy["slow_start"])
        say(port=state.address[1], pid=os.getpid(), worker=index)

    async def on_stop() -> None:
        await asyncio.sleep(0)
        say(stopped=os.getpid(), in_flight=state.in_flight, draining=state.draining)

    def make_app() -> Any:
        if toy.get("bad_app"):
            raise ValueError("no app")
        return app

    def error_headers(headers: Any) -> Any:
        return [(b"content-type", b"application/json"), (b"x-error-origin", b"gateway")]

    config = {"bind": "127.0.0.1:0", **given.get("config", {})}
    return serve(
        ServerConfig(
            app=make_app, on_start=on_start, on_stop=on_stop, early=early, error_headers=error_headers, **config
        )
    )


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    sys.exit(main())
