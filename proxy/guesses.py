"""Wrong keys, counted by the address they come from: whoever sends many is told to wait.

A good key always passes, whatever its neighbours send: behind a proxy all callers may share one address. So what is
counted only decides how a wrong key is answered.
"""

from math import ceil
from socket import AF_INET6, inet_pton

WINDOW_SECONDS = 10.0
ADDRESSES = 4096  # remembered; the one that began longest ago goes first


class Guesses:
    """Counts in memory. More than `most` wrong keys of one address in WINDOW_SECONDS are too many; 0 is never."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: dict[str, tuple[float, int]] = {}  # address -> when its window began, and how many

    def wrong(self, address: str, now: float) -> int:
        """Count a wrong key. Returns how many seconds its sender has to wait, 0 while it may try again."""
        if not self._most:
            return 0
        name = _network(address)
        begun, count = self._seen.get(name, (now, 0))
        if not 0 <= now - begun < WINDOW_SECONDS:
            self._seen.pop(name)
            begun, count = now, 0
        self._seen[name] = begun, count + 1
        if len(self._seen) > ADDRESSES:
            self._seen.pop(next(iter(self._seen)))
        return max(1, ceil(WINDOW_SECONDS - (now - begun))) if count >= self._most else 0


def _network(address: str) -> str:
    """Return what stands for the address: of IPv6 the first half, since whoever has one address has them all."""
    if ":" not in address or "." in address:
        return address
    try:
        return inet_pton(AF_INET6, address.partition("%")[0])[:8].hex()
    except OSError:
        return address
