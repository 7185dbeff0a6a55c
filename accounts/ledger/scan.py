"""Read a journal's files without touching them: of a process that died, or of one that is still writing."""

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

from accounts.ledger.segments import SETTLED, SUFFIX, payload

TRIES = 10


@dataclass(frozen=True, slots=True)
class Line:
    """Where the newest line of a row stands."""

    file: BinaryIO
    start: int
    length: int
    settled: bool

    def read(self) -> bytes:
        """Return the row's JSON. Raises OSError."""
        return payload(os.pread(self.file.fileno(), self.length, self.start))


@dataclass(slots=True)
class Scan:
    """What a journal holds: its rows by id, oldest first, and the lines that cannot be read.

    The files are open until `close`, so rows can be read even when their owner has removed them meanwhile.
    """

    rows: dict[str, Line] = field(default_factory=dict)
    damaged: list[bytes] = field(default_factory=list)
    files: list[BinaryIO] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        for file in self.files:
            file.close()


def names(folder: Path) -> list[str]:
    """Return the names of all journals in the folder, of living and of dead processes."""
    found = {path.name.removesuffix(".lock") for path in folder.glob("*.lock")}
    found |= {path.name.split(".")[0] for path in folder.glob(f"*{SUFFIX}")}
    return sorted(found)


def segments_of(folder: Path, name: str) -> list[Path]:
    """Return the files of one journal, oldest first."""
    return sorted(folder.glob(f"{name}.*{SUFFIX}"))


def scan(folder: Path, name: str) -> Scan:
    """Read the journal of that name. Raises OSError."""
    for _ in range(TRIES):
        paths, found = segments_of(folder, name), Scan()
        try:
            for path in paths:
                _read(found, path)
            # A living owner may have carried rows over to a file that we have not seen: look again.
            if segments_of(folder, name) == paths:
                return found
        except FileNotFoundError:
            pass
        found.close()
    raise OSError(f"the journal {name} changes faster than it can be read")


def _read(found: Scan, path: Path) -> None:
    file = path.open("rb")
    found.files.append(file)
    for start, line in _lines(file.read()):
        _take(found, file, start, line)


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        yield start, data[start : end + 1]
        start = end + 1


def _take(found: Scan, file: BinaryIO, start: int, line: bytes) -> None:
    checksum, _, body = line[:-1].partition(b" ")
    parts = body.split(b" ", 2)
    if checksum != b"%08x" % zlib.crc32(body) or len(parts) != 3:
        found.damaged.append(line)
        return
    id, settled = parts[1].decode(), parts[0] == SETTLED.encode()
    known = found.rows.get(id)
    if known is None or not known.settled:
        found.rows[id] = Line(file, start, len(line), settled)
