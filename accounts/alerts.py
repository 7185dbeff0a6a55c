"""What people are told when a budget reaches a threshold: the words, the signed message, and when to try again."""

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

from accounts.money import usd

PAUSES = (60, 300, 1800, 7200, 21600, 43200)  # seconds after each failed try; then it is given up
MAIL, WEBHOOK = "mail", "webhook"


@dataclass(frozen=True, slots=True)
class Letter:
    """One alert on its way. `left` are the channels that have not taken it yet, `to` who gets the mail."""

    id: int
    scope: str
    window: str
    first: str
    percent: int
    spent_nano: int
    amount_nano: int
    hard: bool
    resets_at: str
    to: tuple[str, ...]
    left: tuple[str, ...]

    @property
    def subject(self) -> str:
        return f"qlite: {self.percent} % of the budget of {self.scope} is spent"

    @property
    def text(self) -> str:
        """The mail, in plain words."""
        again = f" It begins anew at {self.resets_at}." if self.resets_at else ""
        then = "Calls that may go beyond it are refused." if self.hard else "It is a soft budget: nothing is refused."
        return (
            f"The budget of {self.scope} ({self.window}): ${usd(self.spent_nano, places=2)} of "
            f"${usd(self.amount_nano, places=2)} are spent.{again}\n\n{then}\n"
        )

    def message(self) -> bytes:
        """The same for programs, as JSON. Amounts are decimal US dollars, as text."""
        told: dict[str, Any] = {
            "event": "budget.threshold",
            "id": self.id,
            "budget": {"scope": self.scope, "window": self.window, "hard": self.hard, "first_day": self.first},
            "threshold_percent": self.percent,
            "spent_usd": usd(self.spent_nano),
            "amount_usd": usd(self.amount_nano),
            "resets_at": self.resets_at or None,
        }
        return json.dumps(told, separators=(",", ":")).encode()


def signature(secret: str, body: bytes, at: int) -> str:
    """Sign a message sent at `at` (epoch seconds): HMAC-SHA-256 over the time, a full stop and the body."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def pause(tries: int) -> int | None:
    """Return the seconds until the next try after so many, None where it is given up."""
    return PAUSES[tries - 1] if tries <= len(PAUSES) else None
