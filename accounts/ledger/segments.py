"""The journal's files: numbered segments of lines, each line whole or not there.

A line is `<crc-32> <mark> <id> <json>`; the last line of an id wins, a settled one over all. A segment is allocated
at once, so a full disk is met when it is made and not in the middle of a line. What follows the last line end is zeros,
or a write that a crash cut short and nobody was told of.
"""

import os
import zlib
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

SUFFIX = ".journal"
SEGMENT_BYTES = 4 * 1024 * 1024
Mark = Literal["o", "s"]
OPEN: Mark = "o"
SETTLED: Mark = "s"


def encode(mark: Mark, id: str, raw: bytes) -> bytes:
    """Make a line of `raw`, which is JSON without a line end."""
    body = b"%b %b %b" % (mark.encode(), id.encode(), raw)
    return b"%08x %b\n" % (zlib.crc32(body), body)


def payload(line: bytes) -> bytes:
    """Return the JSON in a line, or what there is where it is none."""
    return line.split(b" ", 3)[-1].rstrip(b"\n")


@dataclass(slots=True, eq=False)
class Segment:
    """One file. `rows` counts by mark the rows whose newest line is in it."""

    path: Path
    size: int
    fd: int
    rows: dict[Mark, int]
    used: int = 0
    dirty: bool = False

    @classmethod
    def create(cls, path: Path, size: int) -> "Segment":
        """Allocate a new file of `size` bytes. Raises OSError, and leaves nothing behind then."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(fd, 0, size)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        return cls(path, size, fd, {OPEN: 0, SETTLED: 0})

    @property
    def running_low(self) -> bool:
        # The last quarter is for settling what was opened: it has room when nothing new can be allocated.
        return self.used * 4 > self.size * 3

    def fits(self, line: bytes) -> bool:
        # A line longer than a whole segment gets one to itself and makes it longer.
        return self.used == 0 or self.used + len(line) <= self.size

    def delete(self) -> None:
        os.close(self.fd)
        self.path.unlink(missing_ok=True)

    def write(self, line: bytes) -> int:
        """Add a line and return where it starts. Raises OSError; the next line then overwrites what came of it."""
        start = self.used
        if os.pwrite(self.fd, line, start) != len(line):
            raise OSError("only a part of the line was written")
        self.used = start + len(line)
        self.dirty = True
        return start


@dataclass(frozen=True, slots=True)
class Place:
    """Where the newest line of a row stands."""

    segment: Segment
    start: int
    length: int

    def line(self) -> bytes:
        return os.pread(self.segment.fd, self.length, self.start)


class Segments:
    """The files `<name>.<number>.journal` of one process, oldest first, and a spare one. Raises OSError throughout."""

    def __init__(self, folder: Path, name: str, *, cap_bytes: int) -> None:
        self._folder, self._name, self._cap = folder, name, cap_bytes
        self._size = max(4096, min(SEGMENT_BYTES, cap_bytes // 8))
        self._numbers = count(1)
        self._spare: Segment | None = None
        self._closed = False
        self._unlisted = False  # whether a file was made that the folder on the disk may not have yet
        self.all = [self._create()]

    @property
    def full(self) -> bool:
        """Whether there is no room for a new row within the cap."""
        return self._wants_spare and sum(max(each.size, each.used) for each in self.all) + self._size > self._cap

    def make_room(self) -> None:
        """Keep a spare segment at hand, so that what is opened now can be settled later."""
        if self._wants_spare:
            if self.full:
                raise OSError("it is full, since the main database has not taken its rows")
            self._spare = self._create()

    def write(self, line: bytes) -> Place:
        """Add a line, beyond the cap where it must be."""
        segment = self.all[-1]
        if not segment.fits(line):
            segment, self._spare = self._spare or self._create(), None
            self.all.append(segment)
        return Place(segment, segment.write(line), len(line))

    def sync(self) -> None:
        """Force onto the disk what was written since; without a lock, so a line in between waits for the next time."""
        dirty = [segment for segment in self.all if segment.dirty]
        for segment in dirty:
            segment.dirty = False
            try:
                os.fdatasync(segment.fd)
            except OSError:
                segment.dirty = True
                raise
        if self._unlisted:
            self._unlisted = False
            self._sync_folder()

    def lost(self) -> list[Segment]:
        """Return the segments that somebody else has removed; a lost spare is forgotten."""
        if self._spare and not self._spare.path.exists():
            os.close(self._spare.fd)
            self._spare = None
        return [segment for segment in self.all if not segment.path.exists()]

    def start_new(self) -> None:
        self.all.append(self._create())

    def remove(self, segment: Segment) -> None:
        self.all.remove(segment)
        segment.delete()

    def close(self, *, keep: bool) -> None:
        """Let go of the files, which are removed unless `keep`."""
        self._closed = True
        for segment in self.all:
            os.fdatasync(segment.fd)
        if self._spare:
            self.all.append(self._spare)
            self._spare = None
        for segment in list(self.all):
            if keep and segment.used:
                self.all.remove(segment)
                os.close(segment.fd)
            else:
                self.remove(segment)

    @property
    def _wants_spare(self) -> bool:
        return self._spare is None and (not self.all or self.all[-1].running_low)

    def _create(self) -> Segment:
        if self._closed:
            raise OSError("it is closed")
        segment = Segment.create(self._folder / f"{self._name}.{next(self._numbers):06d}{SUFFIX}", self._size)
        self._unlisted = True
        return segment

    def _sync_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        except OSError:
            self._unlisted = True
            raise
        finally:
            os.close(folder)
