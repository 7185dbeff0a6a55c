"""Waiting to the microsecond: event loops round to whole milliseconds, which is as much as a gateway adds."""

import asyncio
import ctypes
import heapq
import itertools
import os
import sys
import time
from collections.abc import Callable

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1
_NANO = 1_000_000_000


class _Spec(ctypes.Structure):
    """struct itimerspec: the interval, which we leave 0, and the moment of the first expiry."""

    _fields_ = [(name, ctypes.c_long) for name in ("every_s", "every_ns", "first_s", "first_ns")]


class Timers:
    """Calls back after so many seconds, by one timerfd(2) for all; elsewhere than on Linux by the loop's own timers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._fd = -1
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd >= 0:
            loop.add_reader(self._fd, self._fire)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back once; there is no way to take it back."""
        if self._fd < 0:
            self._loop.call_later(seconds, callback)
            return
        when = time.monotonic_ns() + int(seconds * _NANO)
        heapq.heappush(self._due, (when, next(self._numbers), callback))
        if self._due[0][0] == when:
            self._arm(when)

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
        self._due.clear()

    def _arm(self, when: int) -> None:
        spec = _Spec(0, 0, when // _NANO, when % _NANO)
        self._libc.timerfd_settime(self._fd, _ABSOLUTE, ctypes.byref(spec), None)

    def _fire(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            # Armed anew since it expired.
            return
        now = time.monotonic_ns()
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
        if self._due:
            self._arm(self._due[0][0])
