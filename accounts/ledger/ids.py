"""Request ids: UUIDv7 (RFC 9562), so that newer ids sort after older ones."""

import secrets
from collections.abc import Callable
from uuid import UUID

TICKS = 4096  # of a millisecond: the twelve bits behind the milliseconds (RFC 9562, 6.2, method 3)
VERSION, VARIANT = 0x7000, 0x8000


def uuid7(now: float, random: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """Make an id of 36 characters from `now` (epoch seconds) and 8 bytes of `random`."""
    milliseconds, ticks = divmod(int(now * 1000 * TICKS), TICKS)
    tail = random(8).hex()
    variant = VARIANT | int(tail[:4], 16) & 0x3FFF
    head = f"{milliseconds:012x}"
    return f"{head[:8]}-{head[8:]}-{VERSION | ticks:04x}-{variant:04x}-{tail[4:]}"


def lowest(moment: float) -> str:
    """Return what is below every id made at `moment` (epoch seconds) or later, and above the earlier ones."""
    digits = f"{int(moment * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}"


def made_at(id: str) -> float:
    """Return when an id was made, epoch seconds to the millisecond. Raises ValueError where it is no UUIDv7."""
    parsed = UUID(id)
    if parsed.version != 7 or str(parsed) != id:
        raise ValueError(f"{id[:40]!r} is no id of a request")
    return (parsed.int >> 80) / 1000
