"""Journals whose process died: taken over by one adopter, their open requests turned into interrupted ones."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from accounts.ledger import pricing
from accounts.ledger.entry import Entry, from_json, to_json, totals
from accounts.ledger.scan import Scan, names, scan, segments_of
from accounts.prices import Book, Usage

BYTES_PER_TOKEN = 4
LONGEST = 1800  # seconds that a call is taken to have lasted: the clock may have been set meanwhile


class Orphan:
    """The journal of a dead process, which was `alive_at` last, in epoch seconds. Its lock is ours until `release` or
    `remove`.
    """

    def __init__(self, folder: Path, name: str, lock: int, *, alive_at: float) -> None:
        self.name, self.alive_at = name, alive_at
        self._folder, self._lock = folder, lock

    def scan(self) -> Scan:
        """Read what it holds. Raises OSError."""
        return scan(self._folder, self.name)

    def remove(self) -> None:
        """Delete the files, once the main database has every row."""
        for path in segments_of(self._folder, self.name):
            path.unlink(missing_ok=True)
        (self._folder / f"{self.name}.lock").unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        os.close(self._lock)


def orphans(folder: Path) -> Iterator[Orphan]:
    """Take over the journals of dead processes, one after the other. Each must be removed or released."""
    for name in names(folder):
        alive_at = max(map(_changed_at, [folder / f"{name}.lock", *segments_of(folder, name)]))
        lock = _take_lock(folder / f"{name}.lock")
        if lock is not None:
            yield Orphan(folder, name, lock, alive_at=alive_at)


def recover(held: Scan, book: Book, *, alive_at: float) -> Iterator[bytes]:
    """Yield every row as the ledger should have it; what is no entry comes as it is. Raises OSError."""
    for line in held.rows.values():
        raw = line.read()
        yield raw if line.settled else _ended(raw, book, alive_at)


def interrupt(entry: Entry, book: Book, *, alive_at: float) -> None:
    """End an open request whose process died: an attempt under way is estimated from the size of its prompt.

    It is taken to have lasted until the process was alive last, and is priced as one whose caller left.
    A request that had reached no provider, or none that may bill it, has failed.
    """
    under_way = [attempt for attempt in entry.attempts if attempt.status == "open"]
    for attempt in under_way:
        attempt.status, attempt.error = "interrupted", "process_died"
        if attempt.usage_source == "none":
            attempt.usage, attempt.usage_source = {"input": -(-entry.prompt_bytes // BYTES_PER_TOKEN)}, "estimated"
        attempt.latency_us = int(min(max(0.0, alive_at - attempt.started_at), LONGEST) * 1_000_000)
        units: dict[str, Any] = attempt.usage or {}
        pricing.put(book, attempt, Usage(**units))
    billed = any(attempt.status == "interrupted" for attempt in entry.attempts)
    entry.status, entry.error = ("interrupted" if billed else "failed"), "process_died"
    totals(entry)


def _ended(raw: bytes, book: Book, alive_at: float) -> bytes:
    try:
        entry = from_json(raw)
        interrupt(entry, book, alive_at=alive_at)
    except (ValueError, TypeError):
        return raw  # the ledger will refuse it and keep it in quarantine
    return to_json(entry)


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _take_lock(path: Path) -> int | None:
    """Hold a lock that no living process holds. Returns None where one does, or where somebody was quicker."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(fd).st_ino:
            return fd
    except OSError:
        pass
    os.close(fd)
    return None
