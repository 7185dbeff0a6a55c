"""What the scripted provider says in a session of the Realtime API, if nobody scripts it."""

from typing import Any

import orjson

from loadtest.upstream.websocket import Socket

USAGE = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "image_tokens": 0,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}
WORDS = ("Well", ", hello", " there")


async def talk(socket: Socket) -> None:
    """Answer each `response.create` with three words and USAGE; say anything unknown back as it came."""
    await socket.send(event("session.created", session={"id": "sess_1", "type": "realtime", "model": socket.hit.model}))
    number = 0
    while (message := await socket.receive()) is not None:
        asked = _object(message)
        if asked.get("type") == "session.update":
            await socket.send(event("session.updated", session=asked.get("session", {})))
        elif asked.get("type") == "response.create":
            number += 1
            await begin(socket, f"resp_{number}")
            await done(socket, f"resp_{number}")
        else:
            await socket.send(message)


async def begin(socket: Socket, id: str) -> None:
    """Begin a response, with all its words."""
    await socket.send(event("response.created", response={"id": id, "object": "realtime.response", "output": []}))
    for word in WORDS:
        place: dict[str, Any] = {"item_id": "item_1", "output_index": 0, "content_index": 0}
        await socket.send(event("response.output_text.delta", response_id=id, delta=word, **place))


async def done(socket: Socket, id: str, usage: Any = USAGE, status: str = "completed") -> None:
    """End a response."""
    response = {"id": id, "object": "realtime.response", "status": status, "output": [], "usage": usage}
    await socket.send(event("response.done", response=response))


def event(kind: str, **fields: Any) -> str:
    return orjson.dumps({"type": kind, "event_id": "event_1", **fields}).decode()


def _object(message: str | bytes) -> dict[str, Any]:
    try:
        asked = orjson.loads(message)
    except orjson.JSONDecodeError:
        return {}
    return asked if isinstance(asked, dict) else {}
