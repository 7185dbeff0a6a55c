"""Many requests at the same moment: they are begun a few at a time, so that nobody waits for all the others."""

import os
import signal
from collections import Counter
from contextlib import ExitStack

from qlite_site.server.transport import BEGUN_A_TURN
from tests.server.client import Client, Running

CLIENTS = 16


def asked_at_once(server: Running) -> list[int]:
    """Return in which turn each client's request was begun, who all have asked before the server looks."""
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(server.port)) for _ in range(CLIENTS)]
        for client in clients:
            client.ask("GET", "/begun")  # the first lets the server count its turns
            client.answer()
        os.kill(server.pid, signal.SIGSTOP)
        try:
            for client in clients:
                client.ask("GET", "/begun")
        finally:
            os.kill(server.pid, signal.SIGCONT)
        return [client.answer().json() for client in clients]


def test_it_begins_a_burst_of_requests_a_few_at_a_time(server: Running) -> None:
    told = Counter(asked_at_once(server))
    assert told.total() == CLIENTS
    assert max(told.values()) == BEGUN_A_TURN
