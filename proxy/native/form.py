"""The text fields of a multipart form, found without copying it: which model is asked for, and whether it streams.

Strict on purpose: what we read and what the provider reads must be the same field (RFC 7578, RFC 2046 section 5.1).
"""

import re
from dataclasses import dataclass

from proxy.errors import BadRequest

MAX_PARTS = 1000
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"\\]{1,70})"|([^\s;",]{1,70}))\s*(?:;|$)', re.IGNORECASE)
_NAME = re.compile(rb';[ \t]*name=(?:"([^"\r\n]*)"|([^\s;"]+))', re.IGNORECASE)
_DISPOSITION = re.compile(rb"(?:^|\r\n)content-disposition:([^\r\n]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Field:
    """Where a field's value stands in the form."""

    start: int
    end: int


def fields(raw: bytes, content_type: str) -> dict[str, Field]:
    """Return every field of the form by name. Raises BadRequest for a form that two readers may read differently."""
    delimiter = _delimiter(content_type)
    found: dict[str, Field] = {}
    place = 0 if raw.startswith(delimiter) else raw.find(b"\r\n" + delimiter) + 2
    if place == 1:
        raise _unreadable()
    for _ in range(MAX_PARTS):
        place += len(delimiter)
        if raw[place : place + 2] == b"--":
            return found
        head = raw.find(b"\r\n\r\n", place)
        end = raw.find(b"\r\n" + delimiter, place)
        if raw[place : place + 2] != b"\r\n" or head < 0 or end < head:
            raise _unreadable()
        name = _name(raw[place:head])
        if name in found and name in {"model", "stream", "n"}:
            raise BadRequest(f"The field {name!r} appears twice.", code="duplicate_key", param=name)
        found[name] = Field(head + 4, max(end, head + 4))
        place = end + 2
    raise _unreadable()


def _delimiter(content_type: str) -> bytes:
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise _unreadable()
    return b"--" + (found[1] or found[2]).encode("latin-1")


def _name(head: bytes) -> str:
    lines = _DISPOSITION.findall(head)
    names = _NAME.findall(lines[0]) if len(lines) == 1 else []
    if len(names) != 1:
        raise _unreadable()
    quoted, bare = names[0]
    name: bytes = quoted or bare
    return name.decode("utf-8", "replace")


def _unreadable() -> BadRequest:
    return BadRequest("The body is not a well-formed multipart form.")
