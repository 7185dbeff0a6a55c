"""What a scripted provider says to one request, and the ready-to-write bytes made of it."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import responses
from typing import Literal

from loadtest.upstream.hit import Hit

Then = Literal["end", "cut", "reset", "hang"]
# Bytes are written (empty bytes only send the head), a float is a pause in seconds, an event is waited for.
Piece = bytes | float | asyncio.Event
LAST_CHUNK = b"0\r\n\r\n"

# What a real OpenAI answer carries beside its content type; `x-request-id` is added for each answer.
OPENAI_HEADERS = {
    "server": "mock",
    "openai-organization": "org-mock",
    "openai-processing-ms": "5",
    "openai-version": "2020-10-01",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-limit-tokens": "2000000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "1999980",
    "x-ratelimit-reset-requests": "6ms",
    "x-ratelimit-reset-tokens": "0s",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One scripted answer: a `body` with its length, or `chunks` that are streamed as they come.

    `then` says what follows the last byte: `end` (a proper end, the connection is kept), `cut` (FIN), `reset` (RST) or
    `hang` (silence until the other side leaves). `delay` is waited once before the first byte, `gap` before each chunk,
    both in seconds. `slice` writes the body that many bytes at a time. A header set to None is left out; a
    `content-length` given here may lie. With `raw` the chunks are the whole answer, status line included, and without
    any chunk nothing is said at all.
    """

    status: int = 200
    headers: Mapping[str, str | None] = field(default_factory=dict)
    body: bytes | None = None
    chunks: Iterable[Piece] | None = None
    then: Then = "end"
    delay: float = 0.0
    gap: float = 0.0
    slice: int = 0
    raw: bool = False


Script = Answer | Callable[[Hit], Answer]


@dataclass(frozen=True, slots=True)
class Plan:
    """An answer as bytes: `head` lacks only the request id (None: nothing is added), `pieces` are framed already."""

    status: int
    head: bytes | None
    pieces: Iterable[Piece]
    then: Then


def compile_answer(answer: Answer) -> Plan:
    """Frame the answer for the wire. A `chunks` iterator is not consumed here: it may be endless."""
    head = None if answer.raw else _head(answer)
    return Plan(answer.status, head, _pieces(answer), answer.then)


def _head(answer: Answer) -> bytes:
    headers: dict[str, str | None] = {**OPENAI_HEADERS}
    if answer.chunks is not None:
        headers |= {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}
    else:
        headers |= {"content-type": "application/json", "content-length": str(len(answer.body or b""))}
    headers |= {name.lower(): value for name, value in answer.headers.items()}
    lines = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join(lines).encode("latin-1") + b"\r\nx-request-id: "


def _pieces(answer: Answer) -> Iterable[Piece]:
    if answer.chunks is None:
        return [*_pause(answer.delay), *_sliced([answer.body or b""], answer.slice)]
    if isinstance(answer.chunks, Iterator):
        return _streamed(answer)
    # A list can be played again and again; an iterator is the caller's to renew.
    pieces = list(_streamed(answer))
    match pieces:
        case [*_, bytes(last), end] if end == LAST_CHUNK and not answer.slice:
            pieces[-2:] = [last + LAST_CHUNK]
    return pieces


def _streamed(answer: Answer) -> Iterator[Piece]:
    yield from _pause(answer.delay)
    for piece in answer.chunks or ():
        if not isinstance(piece, bytes):
            yield piece
            continue
        yield from _pause(answer.gap)
        yield from _sliced([piece if answer.raw or not piece else frame(piece)], answer.slice)
    if answer.then == "end" and not answer.raw and "transfer-encoding" not in answer.headers:
        yield LAST_CHUNK


def frame(data: bytes) -> bytes:
    """One chunk of a chunked HTTP/1.1 body (RFC 9112, 7.1)."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def _pause(seconds: float) -> list[Piece]:
    return [seconds] if seconds > 0 else []


def _sliced(pieces: Iterable[Piece], size: int) -> Iterator[Piece]:
    for piece in pieces:
        if size and isinstance(piece, bytes) and piece:
            yield from (piece[at : at + size] for at in range(0, len(piece), size))
        else:
            yield piece
