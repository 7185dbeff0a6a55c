"""One worker process: the event loop, the app, the signals, and the garbage collector's rhythm."""

import asyncio
import gc
import logging
import os
import signal
import socket
from typing import TYPE_CHECKING

from qlite_site.server.config import ServerConfig
from qlite_site.server.slim import import_daphne
from qlite_site.server.status import state

if TYPE_CHECKING:
    from qlite_site.server.hardened import HardenedServer

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# What the parent sends for a second SIGTERM. Not SIGTERM again: service managers and terminals signal the whole group,
# so a worker may get the first one twice.
CANCEL_SIGNAL = signal.SIGUSR1

ORPHAN_CHECK_SECONDS = 1.0


def run(config: ServerConfig, listening: socket.socket, index: int, *, parent: int | None = None) -> int:
    """Serve until stopped, and return the exit code. Called once in a process: the loop cannot be started again.

    `parent` is the process that restarts us, if there is one; we stop when it is gone.
    """
    early: list[int] = []
    for number in (*STOP_SIGNALS, CANCEL_SIGNAL):
        signal.signal(number, lambda *received: early.append(received[0]))
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    state.worker, state.address = index, listening.getsockname()[:2]

    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    import_daphne()  # installs the reactor, on the loop that is policy now
    from qlite_site.server.hardened import HardenedServer

    server = HardenedServer(config, config.app())
    config.on_start(index)
    _settle_memory()
    server.loop.call_soon(_listen_to_signals, server, early, parent)
    server.serve(listening)
    return 0


def _listen_to_signals(server: "HardenedServer", early: list[int], parent: int | None) -> None:
    """Hand signals to the loop, from its first turn on; one that came during the start counts now."""
    for number in STOP_SIGNALS:
        server.loop.add_signal_handler(number, _stop, server, parent)
    server.loop.add_signal_handler(CANCEL_SIGNAL, server.cancel)
    if early:
        server.stop()
    if parent is not None:
        _watch_parent(server, parent)


def _stop(server: "HardenedServer", parent: int | None) -> None:
    if state.draining and parent is None:
        server.cancel()
    else:
        server.stop()


def _watch_parent(server: "HardenedServer", parent: int) -> None:
    if os.getppid() != parent:
        logging.getLogger("qlite.server").error("the parent process is gone; stopping")
        server.stop()
    else:
        server.loop.call_later(ORPHAN_CHECK_SECONDS, _watch_parent, server, parent)


def _settle_memory() -> None:
    """Take everything the start has made out of the garbage collector's sight, and let it do little at a time.

    What a request leaves behind is freed by reference counts; cycles are the exception. Nothing else happens while it
    looks for them: at 1,000, 20, 100 it took up to 9 ms at a time under load. Now it takes 3, for a hundredth more CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(500, 4, 1_000)
