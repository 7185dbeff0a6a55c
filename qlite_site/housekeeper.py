"""A thread that runs chores each second, and once more at the end. One of a process alone meets the main database."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import connections

log = logging.getLogger("qlite.housekeeper")

# Not more: whoever holds the interpreter must not be starved by other programs, or the loop waits too.
POLITENESS = 4


@dataclass(slots=True)
class Chore:
    """Something to do every `every` seconds; work that returns True goes on in the next round, after all others.

    One that fails is logged, and tried again at its next turn.
    """

    name: str
    work: Callable[[], object]
    every: float = 1.0
    at_exit: bool = False
    due: float = 0.0
    failing: bool = False


class Housekeeper:
    """Runs `chores` in their order, each when it is due, until stopped. `ready` is set after the first round.

    `urgent` is what somebody may be waiting for: it runs between chores, and at once after `call`.
    """

    def __init__(
        self,
        chores: Sequence[Chore],
        *,
        name: str = "housekeeper",
        beat: float = 0.1,
        urgent: Callable[[], object] = lambda: None,
    ) -> None:
        self._chores = chores
        self._urgent = Chore("answering what calls wait for", urgent)
        self._beat = beat
        self._stop = False
        self._called = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.ready = threading.Event()
        self.last_round = time.monotonic()

    def start(self) -> None:
        self._thread.start()

    def call(self) -> None:
        """Have what is urgent done now. From any thread."""
        self._called.set()

    def stop(self, *, seconds: float = 10.0) -> None:
        """Finish the round, do what is to be done at exit, and end the thread."""
        self._stop = True
        self._called.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def round(self, *, leaving: bool = False) -> None:
        """Run every chore that is due; when `leaving`, those that must not be left undone."""
        for chore in self._chores:
            if chore.at_exit if leaving else time.monotonic() >= chore.due:
                self._do(chore)
            self._do(self._urgent)
        self.last_round = time.monotonic()

    def _do(self, chore: Chore) -> None:
        chore.due = time.monotonic() + chore.every
        try:
            if chore.work() is True:
                chore.due = 0.0
        except Exception as error:
            # A database that is away fails every second: the first time with all details, then in one line.
            log.warning("%s failed: %s", chore.name, error, exc_info=None if chore.failing else error)
            chore.failing = True
            # The thread keeps its connection (closing the last one on a SQLite file is dear), but not a bad one.
            connections.close_all()
        else:
            chore.failing = False

    def _run(self) -> None:
        _step_back()
        self.round()
        self.ready.set()
        while not self._stop:
            if self._called.wait(self._beat):
                self._called.clear()
                self._do(self._urgent)
            if not self._stop:
                self.round()
        self.round(leaving=True)
        connections.close_all()


def _step_back() -> None:
    """Let the event loop's thread go first where both want the same core. Only Linux knows threads as such."""
    if hasattr(os, "setpriority") and sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), POLITENESS)
