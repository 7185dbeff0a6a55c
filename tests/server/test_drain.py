"""SIGTERM: nothing new, nothing cut, and in the end everybody out."""

import os
import signal
import socket

import pytest

from tests.server.client import Client, Running, until


def begin_stream(server: Running, target: str) -> Client:
    client = server.connect()
    client.ask("GET", target)
    client.head()
    client.chunk()
    return client


def test_it_lets_streams_run_to_their_end(start) -> None:  # type: ignore[no-untyped-def]
    server = start()
    streams = [begin_stream(server, "/stream?n=12&size=1&pause=50") for _ in range(50)]
    idle = [server.connect() for _ in range(5)]
    used = server.connect()
    used.ask("GET", "/")
    used.answer()
    server.signal(signal.SIGTERM)
    for client in [*idle, used]:
        assert client.closed()
    until(lambda: refused(server), bool)
    for client in streams:
        assert client.answer_rest().endswith(b"[DONE]\n")
        assert client.closed()
    assert server.wait() == 0
    assert server.line() == {"stopped": server.pid, "in_flight": 0, "draining": True}
    assert "Traceback" not in server.log()


def refused(server: Running) -> bool:
    try:
        with server.connect():
            return False
    except ConnectionRefusedError:
        return True


def test_it_tells_clients_that_the_connection_ends_with_the_answer(start) -> None:  # type: ignore[no-untyped-def]
    server = start()
    with server.connect() as client:
        client.ask("GET", "/waiting?pause=300")
        server.until(lambda told: told["in_flight"] == 2)
        server.signal(signal.SIGTERM)
        answer = client.answer()
        assert answer.json() == {"late": True} and answer.headers["connection"] == "close"
        assert client.closed()
    assert server.wait() == 0


def test_it_lets_a_request_that_is_arriving_arrive(start) -> None:  # type: ignore[no-untyped-def]
    server = start()
    with server.connect() as client:
        client.ask("POST", "/echo", "Content-Length: 6")
        client.send(b"abc")
        until(lambda: server.get("/").status, lambda status: status == 200)
        server.signal(signal.SIGTERM)
        until(lambda: refused(server), bool)
        client.send(b"def")
        assert client.answer().json()["length"] == 6
    assert server.wait() == 0


def test_it_does_not_wait_long_for_a_request_that_does_not_arrive(start) -> None:  # type: ignore[no-untyped-def]
    server = start()
    half = [server.connect() for _ in range(20)]
    for client in half:
        client.ask("POST", "/echo", "Content-Length: 6")
        client.send(b"abc")
    server.get("/")
    server.signal(signal.SIGTERM)
    for client in half:
        answer = client.answer()
        assert (answer.status, answer.code) == (503, "server_shutting_down")
        client.socket.close()
    assert server.wait() == 0


def test_it_serves_those_who_were_waiting_to_be_accepted(start) -> None:  # type: ignore[no-untyped-def]
    server = start()
    server.get("/")
    # Stopped, the server accepts nobody; the kernel does, and keeps what they send.
    server.signal(signal.SIGSTOP)
    waiting = [server.connect() for _ in range(20)]
    for client in waiting:
        client.ask("GET", "/")
    server.signal(signal.SIGTERM)
    server.signal(signal.SIGCONT)
    for client in waiting:
        assert client.answer().body == b"ok"
    assert server.wait() == 0


def test_it_cancels_what_does_not_end_in_time(start) -> None:  # type: ignore[no-untyped-def]
    server = start(drain_seconds=0.3)
    client = begin_stream(server, "/stream?n=1000000&size=1&pause=10")
    server.signal(signal.SIGTERM)
    assert client.answer_rest().endswith(b"error: server_shutting_down\n")
    assert server.wait() == 0


def test_it_answers_for_an_app_that_was_cancelled_before_the_first_byte(start) -> None:  # type: ignore[no-untyped-def]
    server = start(drain_seconds=0.2)
    with server.connect() as client:
        client.ask("GET", "/deaf")
        server.until(lambda told: told["in_flight"] == 2)
        server.signal(signal.SIGTERM)
        answer = client.answer()
        assert (answer.status, answer.code) == (503, "server_shutting_down")
        assert answer.headers["retry-after"] == "1"
    assert server.wait() == 0


def test_it_ends_though_a_reader_has_stopped(start) -> None:  # type: ignore[no-untyped-def]
    server = start(drain_seconds=0.2)
    with Client(server.port, receive_buffer=16384) as client:
        client.ask("GET", "/counted?size=20000000")
        server.until(lambda told: told["in_flight"] == 1)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


def test_it_cancels_at_once_when_told_twice(start) -> None:  # type: ignore[no-untyped-def]
    server = start(drain_seconds=60)
    client = begin_stream(server, "/stream?n=1000000&size=1&pause=10")
    server.signal(signal.SIGTERM)
    until(lambda: refused(server), bool)
    server.signal(signal.SIGTERM)
    assert client.answer_rest().endswith(b"error: server_shutting_down\n")
    assert server.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_it_stops_in_order_at_other_signals_too(start, number: int) -> None:  # type: ignore[no-untyped-def]
    server = start()
    client = begin_stream(server, "/stream?n=5&size=1&pause=50")
    server.signal(number)
    assert client.answer_rest().endswith(b"[DONE]\n")
    assert server.wait() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_it_stops_in_order_while_it_starts(start, workers: int) -> None:  # type: ignore[no-untyped-def]
    server = start(wait=False, workers=workers, toy={"slow_start": 0.2})
    server.line()
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert "Traceback" not in server.log()


def test_it_says_so_when_it_cannot_listen(start) -> None:  # type: ignore[no-untyped-def]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        server = start(wait=False, bind=bind)
        assert server.wait() == 1
        assert f"cannot listen on {bind}: Address already in use" in server.log()


def test_it_leaves_no_process_behind(start) -> None:  # type: ignore[no-untyped-def]
    server = start(workers=2)
    pids = [worker["pid"] for worker in server.workers]
    assert server.stop() == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
