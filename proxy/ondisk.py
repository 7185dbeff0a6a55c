"""Waiting until what was written to the journal is on the disk, for many calls at once: a group commit."""

import asyncio
from collections.abc import Callable


class OnDisk:
    """Awaited after a write. `sync` blocks, on a thread of its own; it raises JournalUnavailable where it fails.

    A sync that is under way may have begun before the write, so whoever comes meanwhile shares the next one.
    """

    def __init__(self, sync: Callable[[], None]) -> None:
        self._sync = sync
        self._under_way: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        """Raises JournalUnavailable."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._round(self._under_way))
            self._next.add_done_callback(_heard)
        await asyncio.shield(self._next)  # one caller who leaves does not end it for the others

    async def _round(self, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait([before])
        self._under_way, self._next = self._next, None
        await asyncio.to_thread(self._sync)


def _heard(done: "asyncio.Task[None]") -> None:
    """Take note of a failure, also where everybody who waited has left."""
    if not done.cancelled():
        done.exception()
