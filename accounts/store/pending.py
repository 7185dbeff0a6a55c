"""What journals hold and the ledger has not yet: looked at without touching them, while the gateway runs."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import SpooledTemporaryFile

from accounts.ledger.scan import names, scan
from accounts.store.ledger import batches, known

IN_MEMORY = 4 * 1024 * 1024


class Pending:
    """Rows of all journals in a folder that the ledger did not have when this was made. Close it after use."""

    def __init__(self, folder: Path) -> None:
        self.ids: set[str] = set()
        self.open = self.settled = self.damaged = 0
        self._rows = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  see close()
        for name in names(folder):
            self._look(folder, name)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the rows' JSON, oldest first within each journal."""
        self._rows.seek(0)
        for line in self._rows:
            yield line.rstrip(b"\n")

    def close(self) -> None:
        self._rows.close()

    def _look(self, folder: Path, name: str) -> None:
        with scan(folder, name) as held:
            self.damaged += len(held.damaged)
            for batch in batches(held.rows.items()):
                there = known([id for id, _ in batch])
                for id, line in batch:
                    if id not in there:
                        self.ids.add(id)
                        self._rows.write(line.read() + b"\n")
                        self.open += not line.settled
                        self.settled += line.settled
