"""Puts the name that the caller asked for into the `model` of a stream's events."""

import orjson

from proxy import sse
from proxy.body import with_value


def in_events(block: bytes, asked: str) -> bytes:
    """Return `block`, whole events, with `model` set to `asked` in each that has one."""
    return b"".join(_in_event(event, asked) for event in sse.events(block))


def _in_event(event: bytes, asked: str) -> bytes:
    data = sse.data_of(event)
    if not data or data[:1] != b"{":
        return event
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        return event
    if not isinstance(body.get("model"), str):
        return event
    return event.replace(data, with_value(data, body, "model", asked), 1)
