"""The process above the workers: holds the listening socket, restarts the dead, passes signals on."""

import gc
import logging
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass

from qlite_site.server import worker
from qlite_site.server.config import ServerConfig

logger = logging.getLogger("qlite.server")

# A worker that lives no longer than this died at once; so many in a row, and we give up.
AT_ONCE_SECONDS = 5.0
AT_ONCE_LIMIT = 5
BACK_OFF_SECONDS = (0.0, 0.1, 0.2, 0.5, 1.0)
# How much longer than the drain a worker may take before it is killed.
KILL_AFTER_SECONDS = 15.0


@dataclass(slots=True)
class _Slot:
    """A worker's place: who fills it, since when, and when it is to be filled again."""

    index: int
    pid: int = 0
    started: float = 0.0
    restart_at: float = 0.0


class Parent:
    """Keeps `config.workers` workers running on one listening socket."""

    def __init__(self, config: ServerConfig, listening: socket.socket) -> None:
        self._config = config
        self._listening = listening
        self._slots = [_Slot(index) for index in range(config.workers)]
        self._deaths_at_once = 0
        self._stopping = False
        self._kill_at = float("inf")
        self._code = 0

    def run(self) -> int:
        """Return the exit code once all workers have ended: 0 if each did so in good order."""
        # Blocked and waited for, so that no signal is lost between looking and sleeping.
        signals = {*worker.STOP_SIGNALS, signal.SIGCHLD}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        gc.freeze()  # what the workers share stays shared: the collector would write to each page of it
        while True:
            self._fill()
            if self._stopping and not any(slot.pid for slot in self._slots):
                return self._code
            received = signal.sigtimedwait(signals, 0.2)
            if received is not None and received.si_signo != signal.SIGCHLD:
                self._stop(received.si_signo)
            self._bury()
            if time.monotonic() >= self._kill_at:
                self._send(signal.SIGKILL)

    def _fill(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if not self._stopping and not slot.pid and now >= slot.restart_at:
                slot.pid, slot.started = self._fork(slot.index), now

    def _fork(self, index: int) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            code = worker.run(self._config, self._listening, index, parent=os.getppid())
        except BaseException:
            logger.exception("worker %d failed", index)
        finally:
            logging.shutdown()
            sys.stdout.flush()
            os._exit(code)  # the frames above belong to the parent: they must not unwind here

    def _stop(self, signum: int) -> None:
        if self._stopping:
            self._send(worker.CANCEL_SIGNAL)
            return
        logger.info("stopping: %s", signal.Signals(signum).name)
        self._end_all()

    def _end_all(self) -> None:
        self._stopping = True
        self._kill_at = time.monotonic() + self._config.drain_seconds + KILL_AFTER_SECONDS
        self._listening.close()
        self._send(signal.SIGTERM)

    def _send(self, signum: int) -> None:
        for slot in self._slots:
            if slot.pid:
                os.kill(slot.pid, signum)

    def _bury(self) -> None:
        for slot in self._slots:
            if slot.pid:
                pid, status = os.waitpid(slot.pid, os.WNOHANG)
                if pid:
                    self._config.on_death(pid)
                    self._died(slot, os.waitstatus_to_exitcode(status))

    def _died(self, slot: _Slot, code: int) -> None:
        slot.pid, now = 0, time.monotonic()
        if self._stopping:
            self._code = self._code or (1 if code else 0)
            return
        at_once = now - slot.started < AT_ONCE_SECONDS
        self._deaths_at_once = self._deaths_at_once + 1 if at_once else 0
        logger.error("worker %d ended with code %d", slot.index, code)
        if self._deaths_at_once >= AT_ONCE_LIMIT:
            logger.critical("workers die as soon as they start; giving up")
            self._code = 1
            self._end_all()
            return
        slot.restart_at = now + BACK_OFF_SECONDS[self._deaths_at_once]
