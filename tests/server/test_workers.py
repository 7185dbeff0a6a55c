"""Several workers on one socket: shared, restarted, stopped together."""

import os
import signal

from tests.server.client import until
from tests.server.test_drain import begin_stream, refused


def test_it_shares_the_work(start) -> None:  # type: ignore[no-untyped-def]
    server = start(workers=2)
    assert {worker["worker"] for worker in server.workers} == {0, 1}
    seen = set()
    # Which worker takes a connection is the kernel's choice; that all of them take some is ours.
    for _ in range(1000):
        client = server.connect()
        client.ask("GET", "/scope")
        seen.add(client.answer().json()["pid"])
        if len(seen) == 2:
            break
    assert seen == {worker["pid"] for worker in server.workers}


def test_it_restarts_a_worker_that_died(start) -> None:  # type: ignore[no-untyped-def]
    server = start(workers=2)
    lost = server.workers[0]
    os.kill(lost["pid"], signal.SIGKILL)
    new = server.line()
    assert new["worker"] == lost["worker"] and new["pid"] != lost["pid"]
    for _ in range(20):
        assert server.get("/").status == 200
    assert server.stop() == 0


def test_it_goes_on_serving_while_a_worker_is_gone(start) -> None:  # type: ignore[no-untyped-def]
    server = start(workers=2)
    with server.connect() as client:
        client.ask("GET", "/die")
        assert client.closed()
    assert server.get("/").status == 200


def test_it_gives_up_when_workers_die_as_soon_as_they_start(start) -> None:  # type: ignore[no-untyped-def]
    server = start(wait=False, workers=2, toy={"die_at_start": True})
    assert server.wait() == 1
    assert "giving up" in server.log()


def test_it_gives_up_when_the_app_cannot_be_made(start) -> None:  # type: ignore[no-untyped-def]
    server = start(wait=False, workers=2, toy={"bad_app": True})
    assert server.wait() == 1
    assert "ValueError: no app" in server.log() and "giving up" in server.log()


def test_it_stops_all_workers_in_order(start) -> None:  # type: ignore[no-untyped-def]
    server = start(workers=2)
    streams = [begin_stream(server, "/stream?n=10&size=1&pause=50") for _ in range(8)]
    server.signal(signal.SIGTERM)
    until(lambda: refused(server), bool)
    for client in streams:
        assert client.answer_rest().endswith(b"[DONE]\n")
    assert server.wait() == 0
    assert {server.line()["stopped"], server.line()["stopped"]} == {worker["pid"] for worker in server.workers}


def test_it_does_not_take_one_signal_to_the_group_for_two(start) -> None:  # type: ignore[no-untyped-def]
    server = start(workers=2)
    client = begin_stream(server, "/stream?n=10&size=1&pause=50")
    # As systemd does, and a terminal at Ctrl-C: parent and workers alike get it.
    for pid in [server.pid, *(worker["pid"] for worker in server.workers)]:
        os.kill(pid, signal.SIGTERM)
    assert client.answer_rest().endswith(b"[DONE]\n")
    assert server.wait() == 0


def test_it_cancels_in_all_workers_when_told_twice(start) -> None:  # type: ignore[no-untyped-def]
    server = start(workers=2, drain_seconds=60)
    streams = [begin_stream(server, "/stream?n=1000000&size=1&pause=10") for _ in range(4)]
    server.signal(signal.SIGTERM)
    until(lambda: refused(server), bool)
    server.signal(signal.SIGTERM)
    for client in streams:
        assert client.answer_rest().endswith(b"error: server_shutting_down\n")
    assert server.wait() == 0


def test_it_stops_workers_whose_parent_is_gone(start) -> None:  # type: ignore[no-untyped-def]
    server = start(workers=2)
    server.process.kill()
    assert {server.line()["stopped"], server.line()["stopped"]} == {worker["pid"] for worker in server.workers}
    assert refused(server)
