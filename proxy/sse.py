"""Server-sent events, bytes in and bytes out; no I/O. Lines end at LF, CRLF or CR only (WHATWG HTML 9.2)."""

import re

import orjson

DONE = b"data: [DONE]\n\n"
MAX_EVENT_BYTES = 4 * 1024 * 1024

_BOUNDARY = re.compile(rb"\n\n|\r\n\r\n|\r\r|\n\r\n")  # the last where a proxy mixes line ends
_LINE = re.compile(rb"\r\n|\n|\r")


class EventTooLarge(ValueError):
    """One event grew past MAX_EVENT_BYTES."""


class Splitter:
    """Cuts a stream of bytes at event boundaries: what `feed` returns always ends with a whole event.

    The bytes themselves stay as they came, comments and line ends included.
    """

    __slots__ = ("rest",)

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return every whole event that `chunk` completes, b"" if there is none."""
        data = self.rest + chunk if self.rest else chunk
        end = boundary(data)
        self.rest = data[end:]
        if len(self.rest) > MAX_EVENT_BYTES:
            raise EventTooLarge(f"an event is longer than {MAX_EVENT_BYTES} bytes")
        return data[:end]


def boundary(data: bytes) -> int:
    """Return the offset just past the last whole event in `data`, 0 if there is none."""
    if data.endswith(b"\n\n"):
        return len(data)
    end = data.rfind(b"\n\n") + 2 if b"\n\n" in data else 0
    if b"\r" in data:
        crlf, cr = data.rfind(b"\n\r\n"), data.rfind(b"\r\r")
        # "\r\r" at the very end may be the first half of "\r\r\n"; waiting for more would hold back a live event.
        end = max(end, crlf + 3 if crlf >= 0 else 0, cr + 2 if cr >= 0 else 0)
    return end


def events(block: bytes) -> list[bytes]:
    """Return the whole events in `block`, each with its own ending, in order."""
    found, start = [], 0
    for match in _BOUNDARY.finditer(block):
        found.append(block[start : match.end()])
        start = match.end()
    if block[start:].strip():
        found.append(block[start:])
    return found


def data_of(event: bytes) -> bytes | None:
    """Return the data of one event, its `data:` lines joined with LF; None for a comment or an empty event."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2 and b"\r" not in event:
        return event[6:-2]  # one line and the empty one, as nearly all events are
    parts = []
    for line in _LINE.split(event):
        if line.startswith(b"data:"):
            parts.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line == b"data":
            parts.append(b"")
    return b"\n".join(parts) if parts else None


def said(event: bytes) -> bytes | None:
    """Return the data of one event, or the JSON that tells of an error where an event should be.

    Gemini breaks off with such JSON, and some servers answer with it, under a good status, instead of with a stream.
    """
    data = data_of(event)
    if data is None and b'"error"' in event and event.lstrip()[:1] in (b"{", b"["):
        return event
    return data


def whole(rest: bytes) -> bool:
    """Say whether what a stream ends with is an event that lacks but its blank line, and no piece of one."""
    data = (data_of(rest) or b"").strip()
    if data[:1] not in (b"{", b"["):
        return bool(rest.strip())
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return data == b"[DONE]"
    return True


def name_of(event: bytes) -> bytes:
    """Return the event's name, b"" where it has none."""
    for line in _LINE.split(event):
        if line.startswith(b"event:"):
            return line[6:].strip()
    return b""


def encode(data: bytes) -> bytes:
    """Return one event that carries `data`, which holds no line end."""
    return b"data: " + data + b"\n\n"


def comment(text: str) -> bytes:
    """Return a comment line, which clients ignore."""
    return f": {text}\n\n".encode()
