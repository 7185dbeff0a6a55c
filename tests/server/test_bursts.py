"""Many requests at the same moment: they are begun a few at a time, so that nobody waits for all the others."""

import os
import signal
from contextlib import ExitStack

from qlite_site.server.transport import BEGUN_A_TURN
from tests.server.client import Client, Running

CLIENTS = 16


def asked_at_once(server: Running) -> list[int]:
    """Return what clients are told who all have asked before the server looks."""
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(server.port)) for _ in range(CLIENTS)]
        for client in clients:
            client.ask("GET", "/")
            client.answer()
        os.kill(server.pid, signal.SIGSTOP)
        try:
            for client in clients:
                client.ask("GET", "/begun")
        finally:
            os.kill(server.pid, signal.SIGCONT)
        return [client.answer().json() for client in clients]


def test_it_begins_a_burst_of_requests_a_few_at_a_time(server: Running) -> None:
    told = asked_at_once(server)
    assert len(told) == CLIENTS and max(told) == BEGUN_A_TURN
