"""Reads the head of a request: the request line and the headers, strictly, in one pass and without I/O.

Stricter than Twisted where leniency lets two servers disagree about one request (RFC 9112 sections 2.2, 3.2, 5, 6.3):
no bare LF, no folded lines, exactly one well-formed Host, one Content-Length or one `chunked`, never both.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from qlite_site.server import refusals
from qlite_site.server.config import Headers

MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 500

METHODS = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
ALLOWED = b", ".join(METHODS)
VERSIONS = {b"HTTP/1.1": "1.1", b"HTTP/1.0": "1.0"}

# One line each, from line break to line break. Possessive, so that a hostile line cannot make the search backtrack.
_FIELD = re.compile(rb"\r\n([!#$%&'*+\-.^_`|~0-9A-Za-z]++):[ \t]*+([^\x00-\x08\x0a-\x1f\x7f]*+)(?=\r\n)")
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(rb"/[!\"$-~]*+")
_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)(/[!\"$-~]*+)?", re.IGNORECASE)
_HOST = re.compile(rb"(?:[0-9A-Za-z._~-]++|\[[0-9A-Fa-f:.]++\])(?::([0-9]{1,5}))?")
_LENGTH = re.compile(rb"[0-9]{1,18}")

# Headers that decide how the rest of the connection is read.
_DECISIVE = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade"})
_ONLY_ONCE = frozenset({b"host", b"content-length", b"transfer-encoding"})


@dataclass(slots=True)
class Head:
    """A request before its body. `length` is None where the body is chunked."""

    method: str
    target: bytes
    version: str
    headers: Headers
    length: int | None
    keep_alive: bool
    expects_continue: bool
    websocket: bool


def parse(block: bytes) -> Head:
    """Return the head in `block`: everything up to and with the line break before the empty line.

    Raises Refused for anything that is not a well-formed HTTP/1.0 or 1.1 request.
    """
    end = block.find(b"\r\n")
    fields = _FIELD.findall(block, end)
    if len(fields) != block.count(b"\r\n", end) - 1:
        raise refusals.bad_request("A request header is malformed.")
    if len(fields) > MAX_HEADERS:
        raise refusals.headers_too_large(MAX_HEAD_BYTES)
    method, target, version = _request_line(block[:end])
    headers, decisive = _headers(fields)
    host = decisive.get(b"host")
    if host not in _known_hosts:
        _check_host(host)
    if target[:1] != b"/":
        target = _origin_form(target, host)
    elif _TARGET.fullmatch(target) is None:
        raise refusals.bad_request("The request target is malformed.")
    # Most requests have nothing but these two: no need to look for the others.
    length = _length(decisive, version) if len(decisive) > 1 else 0
    keep_alive = version == "1.1"
    if b"connection" in decisive:
        keep_alive = keep_alive and not _has_token(decisive[b"connection"], b"close")
    return Head(
        method=method,
        target=target,
        version=version,
        headers=headers,
        length=length,
        keep_alive=keep_alive,
        expects_continue=b"expect" in decisive and decisive[b"expect"].lower() == b"100-continue" and version == "1.1",
        websocket=b"upgrade" in decisive and decisive[b"upgrade"].lower() == b"websocket",
    )


def path_text(raw: bytes) -> str:
    """Return the path of a target as text, its percent-escapes decoded as UTF-8."""
    text = raw.decode("ascii")
    return unquote(text) if "%" in text else text


def _request_line(line: bytes) -> tuple[str, bytes, str]:
    parts = line.split(b" ")
    if len(parts) != 3 or parts[2] not in VERSIONS:
        raise refusals.bad_request("The request line is malformed.")
    method = METHODS.get(parts[0])
    if method is None:
        if _TOKEN.fullmatch(parts[0]) is None:
            raise refusals.bad_request("The request line is malformed.")
        raise refusals.method_not_allowed(ALLOWED)
    return method, parts[1], VERSIONS[parts[2]]


def _headers(fields: list[tuple[bytes, bytes]]) -> tuple[Headers, dict[bytes, bytes]]:
    """Return all headers with names in lower case, and those that decide something."""
    headers: Headers = []
    decisive: dict[bytes, bytes] = {}
    for given, padded in fields:
        name, value = given.lower(), padded.rstrip(b" \t")
        if b"_" in name:
            continue  # CVE-2015-0219: X_Admin would pass for X-Admin in Django's request.META
        if name in _DECISIVE:
            if name in decisive:
                if name in _ONLY_ONCE:
                    raise refusals.bad_request(f"The header {name.decode()} was sent more than once.")
                decisive[name] += b"," + value
            else:
                decisive[name] = value
        headers.append((name, value))
    return headers, decisive


_known_hosts: set[bytes | None] = set()


def _check_host(host: bytes | None) -> None:
    match = _HOST.fullmatch(host) if host is not None else None
    if match is None or int(match[1] or 0) > 65535:
        raise refusals.bad_request("Exactly one well-formed Host header is needed.")
    if len(_known_hosts) < 256:
        _known_hosts.add(host)


def _origin_form(target: bytes, host: bytes | None) -> bytes:
    """Return the path of a target in absolute form (RFC 9112 section 3.2.2), whose host must be the Host header's."""
    match = _ABSOLUTE.fullmatch(target)
    if match is None or host is None or match[1].lower() != host.lower():
        raise refusals.bad_request("The request target is malformed.")
    return match[2] or b"/"


def _length(decisive: dict[bytes, bytes], version: str) -> int | None:
    length, encoding = decisive.get(b"content-length"), decisive.get(b"transfer-encoding")
    if encoding is not None:
        if encoding.lower() != b"chunked" or length is not None or version == "1.0":
            raise refusals.bad_request("The Transfer-Encoding header is not understood.")
        return None
    if length is None:
        return 0
    if _LENGTH.fullmatch(length) is None:
        raise refusals.bad_request("The Content-Length header is malformed.")
    return int(length)


def _has_token(value: bytes, token: bytes) -> bool:
    return any(part.strip() == token for part in value.lower().split(b","))
