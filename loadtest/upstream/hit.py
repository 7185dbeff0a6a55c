"""One request that reached the scripted provider, and what became of its answer."""

import re
import time
from dataclasses import dataclass, field
from typing import Any

import orjson

NONCE = re.compile(rb"nonce-[0-9a-z]+")


@dataclass(slots=True)
class Hit:
    """A request as it was received (`body` byte for byte, header names in lower case) and the fate of its answer.

    `chunks` counts the pieces of the body handed to the socket and `sent` all its bytes, head included. `peer_closed`
    is set when the other side left before the answer was complete, `ended` when nothing more will be written.
    """

    number: int
    method: str
    path: str
    body: bytes
    model: str = ""
    stream: bool = False
    include_usage: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    header_lines: list[tuple[str, str]] = field(default_factory=list)
    at: float = field(default_factory=time.time)
    nonce: str = ""
    status: int = 0
    request_id: str = ""
    chunks: int = 0
    sent: int = 0
    peer_closed: bool = False
    ended: bool = False

    @property
    def json(self) -> Any:
        """The body parsed; raises orjson.JSONDecodeError when it is not JSON."""
        return orjson.loads(self.body)

    def journal_line(self) -> bytes:
        """The hit as one line of the mock's journal."""
        names = ("at", "nonce", "method", "path", "model", "stream", "status", "request_id", "chunks", "sent")
        line = {name: getattr(self, name) for name in (*names, "peer_closed")}
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def find_nonce(body: bytes) -> str:
    """The token `nonce-...` that a load client put into its prompt, or an empty string."""
    found = NONCE.search(body)
    return found[0].decode() if found else ""
