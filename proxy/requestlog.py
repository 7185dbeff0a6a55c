"""One JSON line a request: who, where to, how it ended, what it cost. Never a secret or a prompt.

Lines are made on the hot path and written by the housekeeper, so a blocked pipe never blocks a request.
"""

from collections import deque
from datetime import UTC, datetime

import orjson

from accounts.ledger.entry import Entry

KEPT_LINES = 20_000


class RequestLog:
    """Lines waiting to be written; the oldest go first when nobody reads, and are counted as dropped."""

    def __init__(self, *, enabled: bool = True) -> None:
        self._waiting: deque[Entry] = deque()
        self._enabled = enabled
        self.dropped = 0

    def write(self, entry: Entry) -> None:
        if not self._enabled:
            return
        if len(self._waiting) >= KEPT_LINES:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(entry)

    def take(self, at_most: int = 1000) -> bytes:
        """Return the lines that wait, each with its line end."""
        lines: list[bytes] = []
        while self._waiting and len(lines) < at_most:
            lines.append(orjson.dumps(_line(self._waiting.popleft()), option=orjson.OPT_APPEND_NEWLINE))
        return b"".join(lines)


def _line(entry: Entry) -> dict[str, object]:
    last = entry.attempts[-1] if entry.attempts else None
    return {
        "time": datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="milliseconds"),
        "level": "info",
        "logger": "qlite.requests",
        "message": f"{entry.surface} {entry.status}",
        "id": entry.id,
        "client_request_id": entry.client_request_id,
        "team": entry.team,
        "key": entry.key_label,
        "route": entry.route,
        "target": last.target if last else None,
        "attempts": len(entry.attempts),
        "status": entry.status,
        "http_status": entry.http_status,
        "error": entry.error or None,
        "stream": entry.stream,
        "cached": entry.cached,
        "usage": entry.usage,
        "usage_source": entry.usage_source,
        "cost_nano": entry.cost_nano,
        "cost_status": entry.cost_status,
        "client_gone": entry.client_gone,
        "latency_us": entry.latency_us,
        "first_token_us": entry.first_token_us,
    }
