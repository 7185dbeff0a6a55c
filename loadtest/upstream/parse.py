"""Cutting HTTP/1.1 requests out of received bytes, as cheaply as a load test needs it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """One request: the head as received (without its blank line), the body, and how many bytes both took."""

    head: bytes
    body: bytes
    size: int
    close: bool = False


def take(data: bytes | bytearray) -> Request | int:
    """The first request in `data`, or how many bytes must be there before it is worth asking again."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return len(data) + 1
    head = bytes(data[:end])
    lower = head.lower()
    close = b"\r\nconnection: close" in lower
    at = lower.find(b"\r\ncontent-length:")
    if at < 0:
        if b"\r\ntransfer-encoding: chunked" in lower:
            return _take_chunked(data, head, close)
        return Request(head, b"", end + 4, close)
    stop = end + 4 + int(lower[at + 17 :].split(b"\r\n", 1)[0])
    if len(data) < stop:
        return stop
    return Request(head, bytes(data[end + 4 : stop]), stop, close)


def _take_chunked(data: bytes | bytearray, head: bytes, close: bool) -> Request | int:
    parts, at = [], len(head) + 4
    while True:
        line = data.find(b"\r\n", at)
        if line < 0:
            return len(data) + 1
        size = int(bytes(data[at:line]).split(b";")[0], 16)
        if len(data) < line + size + 4:
            return line + size + 4
        parts.append(bytes(data[line + 2 : line + 2 + size]))
        at = line + size + 4
        if size == 0:
            return Request(head, b"".join(parts), at, close)


def first_line(head: bytes) -> tuple[str, str]:
    """Method and target."""
    method, target, *_ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return method, target


def header_lines(head: bytes) -> list[tuple[str, str]]:
    """The header lines in their order and spelling."""
    lines = head.decode("latin-1").split("\r\n")[1:]
    return [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
