"""A gateway request as the views see it: headers read straight from the ASGI scope, ids settled once."""

import re
from collections.abc import Mapping
from functools import cached_property
from io import BytesIO
from typing import Any

from django.core.handlers.asgi import ASGIRequest

from accounts.ledger.ids import uuid7
from proxy.call import Call
from proxy.dialects.base import Dialect

_PRINTABLE = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?")


def client_id_of(headers: Mapping[bytes, bytes]) -> str:
    """Return the caller's X-Request-Id, "" where there is none or it is not taken."""
    given = headers.get(b"x-request-id")
    return given.decode("ascii") if given and _PRINTABLE.fullmatch(given) else ""


class GatewayRequest(ASGIRequest):
    """Stays an ASGIRequest; META, GET and the rest are made only when something asks for them.

    `id` is ours and always fresh; `client_id` is the caller's X-Request-Id where it is printable and at most 128
    characters, else `id`. `call` is set once a call is admitted, so that a hang-up can be noted on it.
    """

    def __init__(self, scope: dict[str, Any], body: bytes, now: float) -> None:
        self.scope = scope
        self.method = scope["method"].upper()
        self.path = self.path_info = scope["path"]
        self.script_name = scope.get("root_path") or ""
        self.resolver_match = None
        self.received_at = now
        self._body = body
        self._read_started = True
        self.raw_headers: dict[bytes, bytes] = dict(scope["headers"])
        self.id = uuid7(now)
        self.client_id = client_id_of(self.raw_headers) or self.id
        self.call: Call | None = None
        self.dialect: Dialect | None = None  # what errors are said in, None for OpenAI's shape

    def header(self, name: bytes) -> str:
        """Return a header by its lower-case name, "" where it is missing."""
        return self.raw_headers.get(name, b"").decode("latin-1")

    @cached_property
    def _whole(self) -> ASGIRequest:
        return ASGIRequest(self.scope, BytesIO(self._body))

    @property
    def META(self) -> dict[str, Any]:  # type: ignore[override]
        return self._whole.META

    @property
    def GET(self) -> Any:  # type: ignore[override]
        return self._whole.GET
