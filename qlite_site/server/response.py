"""Writes the head of a response and frames its body, without I/O."""

import re
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus

from qlite_site.server.config import Headers

LAST_CHUNK = b"0\r\n\r\n"

# Not only those with a name: providers make up their own, such as Anthropic's 529.
_STATUS_LINES = {status: f"HTTP/1.1 {status} ".encode() for status in range(200, 600)}
_STATUS_LINES |= {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus if status >= 200
}
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# What a header given by the app means to us.
_PLAIN, _LENGTH, _CONNECTION, _OURS, _DATE = range(5)
_MEANINGS = {
    b"content-length": _LENGTH,
    b"connection": _CONNECTION,
    b"transfer-encoding": _OURS,
    b"keep-alive": _OURS,
    b"date": _DATE,
}
# The beginning of a header line by name: checked and joined once, not for each response.
_names: dict[bytes, tuple[bytes, int]] = {}
_NAMES_KEPT = 512


def date_line(now: float) -> bytes:
    """Return a Date header for the epoch second `now`, with the line break before it."""
    return b"\r\ndate: " + formatdate(now, usegmt=True).encode()


def head(status: int, headers: Iterable[tuple[bytes, bytes]], date: bytes) -> tuple[bytes, int | None, bool]:
    """Return the head without its closing line break, the content length, and whether the app wants to close.

    Raises ValueError or TypeError for a head that must not be sent, such as a value with a line break in it.
    """
    if status not in _STATUS_LINES:
        raise ValueError(f"{status!r} is not the status of a final response")
    parts, count, length, close = [_STATUS_LINES[status]], 0, None, False
    for name, value in headers:
        prefix, meaning = _names.get(name) or _known(name)
        if meaning:
            if meaning == _OURS:
                continue
            if meaning == _CONNECTION:
                close = b"close" in value.lower()
                continue
            if meaning == _LENGTH:
                length = int(value)
                if status == 204:
                    continue  # RFC 9110 section 8.6
            else:
                date = b""
        parts.append(prefix)
        parts.append(value)
        count += 1
    lines = b"".join(parts)
    if lines.count(b"\n") != count or lines.count(b"\r") != count or b"\0" in lines:
        raise ValueError("a response header has a line break or NUL in it")
    return lines + date, length, close


def chunk(data: bytes) -> bytes:
    """Return `data`, which is not empty, as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def whole(status: int, headers: Headers, body: bytes, *, date: bytes, to_head: bool) -> bytes:
    """Return a whole response after which the connection closes; without its body for HEAD."""
    given = [(name, value) for name, value in headers if name.lower() != b"content-length"]
    lines, _, _ = head(status, [*given, (b"content-length", b"%d" % len(body))], date)
    return lines + b"\r\nconnection: close\r\n\r\n" + (b"" if to_head else body)


def _known(name: bytes) -> tuple[bytes, int]:
    if not isinstance(name, bytes) or _TOKEN.fullmatch(name) is None:
        raise ValueError(f"{name!r} is not the name of a header")
    line = (b"\r\n" + name + b": ", _MEANINGS.get(name.lower(), _PLAIN))
    if len(_names) < _NAMES_KEPT:
        _names[name] = line
    return line
