"""The journal: this process's requests on disk, opened before a provider is called, settled before the last byte.

What `open`, `update` and `settle` have written outlives any death of the process; `commit` and `sync` make it outlive a
power cut. They are called on the event loop and cost a few microseconds. Everything else is the housekeeper's, on one
thread, but `commit`, which any thread may call.
"""

import fcntl
import os
import re
import secrets
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from accounts.ledger.entry import Entry, to_json
from accounts.ledger.segments import OPEN, SETTLED, Mark, Place, Segment, Segments, encode, payload


class JournalUnavailable(Exception):
    """The journal cannot take the row; nothing was written, so no provider may be called."""


class Journal:
    """Files `<host>-<pid>-<boot>.<number>.journal` in `folder`, and a `.lock` that is held while the process lives.

    Make it after a fork, not before.
    """

    def __init__(self, folder: Path, *, cap_bytes: int) -> None:
        """Make the files. Raises JournalUnavailable where the folder cannot be written."""
        self.name = f"{host()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._folder = folder
        self._lock_path = folder / f"{self.name}.lock"
        self._mutex = threading.Lock()
        self._syncing = threading.Lock()  # taken before the mutex; never on the event loop
        self._refused = False  # whether the last request could not be opened
        # The newest line of each row, by mark and id. Settled ones are in the order in which they will be drained.
        self._rows: dict[Mark, dict[str, Place]] = {OPEN: {}, SETTLED: {}}
        self._opened, self._settled = self._rows[OPEN], self._rows[SETTLED]
        with _told():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = hold_new(self._lock_path)
            self._segments = Segments(folder, self.name, cap_bytes=cap_bytes)

    # --- on the event loop

    def open(self, entry: Entry) -> None:
        """Write the request down before a provider is called. Raises JournalUnavailable, also when it is full."""
        line = encode(OPEN, entry.id, to_json(entry))
        with self._mutex:
            self._refused = True
            try:
                self._segments.make_room()
            except OSError as error:
                raise _unavailable(error) from error
            self._keep(OPEN, entry.id, line)
            self._refused = False

    def update(self, entry: Entry) -> None:
        """Write down what has become of an open request so far. Raises JournalUnavailable."""
        line = encode(OPEN, entry.id, to_json(entry))
        with self._mutex:
            self._keep(OPEN, entry.id, line)

    def settle(self, entry: Entry) -> None:
        """Write the request's last word; what comes for it later is ignored. Raises JournalUnavailable.

        Has room even when the journal is full. A request that was never opened (a cache hit, a refusal) may be
        settled at once.
        """
        if entry.status == "open":
            raise ValueError("an open request cannot be settled")
        line = encode(SETTLED, entry.id, to_json(entry))
        with self._mutex:
            self._keep(SETTLED, entry.id, line)

    def backlog(self) -> int:
        """How many settled requests wait for the main database."""
        return len(self._settled)

    def in_flight(self) -> int:
        """How many requests are open."""
        return len(self._opened)

    @property
    def full(self) -> bool:
        """Whether no request can be opened: until some have been drained, or the disk has room again."""
        return self._refused or self._segments.full

    def commit(self) -> None:
        """Force onto the disk what was written before. Blocks; raises JournalUnavailable."""
        with _told(), self._syncing:
            self._segments.sync()

    # --- on the housekeeper's thread

    def ready(self, at_most: int) -> list[tuple[str, bytes]]:
        """Return the oldest settled requests, with their ids."""
        with self._mutex:
            places = list(islice(self._settled.items(), at_most))
        return [(id, payload(place.line())) for id, place in places]

    def forget(self, ids: Iterable[str]) -> None:
        """Drop requests that the main database has."""
        with self._mutex:
            for id in ids:
                self._let_go(SETTLED, id)

    def sync(self) -> None:
        """Force what was written onto the disk, and free the segments that are done with.

        Raises JournalUnavailable; the next call tries again.
        """
        with _told(), self._syncing:
            self._notice_loss()
            os.utime(self._lock)  # a sign of life: who recovers this journal reckons by it how long calls have lasted
            self._segments.sync()
            with self._mutex:
                done = self._tidy()
            # Without the mutex: to remove megabytes takes milliseconds, for which the event loop would wait.
            for segment in done:
                segment.delete()
            with self._mutex:
                if self._refused:  # nobody may ask again as long as we say that we are full
                    self._segments.make_room()
                    self._refused = False

    def close(self) -> None:
        """Let go of the files. Those that still hold rows stay for the next process to adopt."""
        with _told(), self._syncing, self._mutex:
            keep = bool(self._opened or self._settled)
            self._segments.close(keep=keep)
            if not keep:
                self._lock_path.unlink(missing_ok=True)
            os.close(self._lock)

    # --- under the mutex

    def _keep(self, mark: Mark, id: str, line: bytes) -> None:
        if id in self._settled:
            return
        try:
            place = self._segments.write(line)
        except (OSError, IndexError) as error:
            raise _unavailable(error) from error
        self._let_go(OPEN, id)
        self._put(mark, id, place)

    def _put(self, mark: Mark, id: str, place: Place) -> None:
        place.segment.rows[mark] += 1
        self._rows[mark][id] = place

    def _let_go(self, mark: Mark, id: str) -> None:
        place = self._rows[mark].pop(id, None)
        if place is not None:
            place.segment.rows[mark] -= 1

    def _tidy(self) -> list[Segment]:
        """Part with the oldest segments whose settled rows are drained; their open rows move to the newest one."""
        segments, done = self._segments.all, []
        while len(segments) > 1 and not segments[0].rows[SETTLED]:
            self._move(OPEN, [segments[0]])
            done.append(segments.pop(0))
        return done

    def _move(self, mark: Mark, old: list[Segment]) -> None:
        for id, place in list(self._rows[mark].items()):
            if place.segment in old:
                place.segment.rows[mark] -= 1
                self._put(mark, id, self._segments.write(place.line()))

    def _notice_loss(self) -> None:
        """Where somebody removed our files, write their rows again, from the descriptors we still hold."""
        if not self._lock_path.exists():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(self._lock)
            self._lock = hold_new(self._lock_path)
        lost = self._segments.lost()
        if lost:
            with self._mutex:
                self._segments.start_new()
                self._move(SETTLED, lost)
                self._move(OPEN, lost)
                for segment in lost:
                    self._segments.remove(segment)


def host() -> str:
    """This machine's name, fit for the name of a file."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname()) or "host"


def hold_new(path: Path) -> int:
    """Make a lock file that nobody ever sees unlocked, and return its descriptor. Raises OSError."""
    draft = path.with_suffix(".new")
    fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    draft.rename(path)
    return fd


def _unavailable(error: Exception) -> JournalUnavailable:
    return JournalUnavailable(f"the journal cannot be written: {error}")


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unavailable(error) from error
