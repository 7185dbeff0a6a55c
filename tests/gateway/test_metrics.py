"""Metrics of several workers: whichever is asked tells of all, and nobody of one that is dead."""

import os
import re
import signal

from tests.gateway.conftest import Start
from tests.gateway.stand import Stand
from tests.gateway.test_swaps import answers, one_for_each_worker
from tests.server.client import Client, until


def told(stand: Stand, client: Client, name: str) -> float:
    """The sum of a metric over its labels, as one worker tells it."""
    stand.send(client, "GET", "/metrics", key=None)
    lines = re.findall(rf"^{name}(?:{{.*}})? (.+)$", client.answer().body.decode(), re.MULTILINE)
    return sum(map(float, lines))


def test_each_worker_tells_the_metrics_of_all(start: Start) -> None:
    stand = start("--workers", "2", "--allow-sqlite-workers")
    with one_for_each_worker(stand) as workers:
        one, other = workers.values()
        for client in (one, other, other):
            assert answers(stand, client) == "mock"
        for client in (one, other):
            until(lambda asked=client: told(stand, asked, "qlite_requests_total") == 3, bool)


def test_they_forget_what_a_dead_worker_had_in_flight_and_not_what_it_did(start: Start) -> None:
    stand = start("--workers", "2", "--allow-sqlite-workers")
    with one_for_each_worker(stand) as workers:
        (pid, dying), (_, living) = workers.items()
        assert answers(stand, dying) == "mock"
        stand.send(dying, "POST", "/v1/chat/completions", stand.ask("stub/stall", stream=True))
        until(lambda: told(stand, living, "qlite_requests_in_flight") == 1, bool)
        os.kill(pid, signal.SIGKILL)
        until(lambda: told(stand, living, "qlite_requests_in_flight") == 0, bool)
        assert told(stand, living, "qlite_requests_total") >= 1
