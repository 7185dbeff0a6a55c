"""Readers who do not read: the app waits for them, memory does not grow, and those who stop for good are cut."""

import socket
import time

from tests.server.client import Client, until

MEGABYTE = 2**20


def test_it_makes_the_app_wait_for_a_reader_that_has_stopped(start) -> None:  # type: ignore[no-untyped-def]
    server = start(write_stall_seconds=60)
    server.get("/pressed?n=1")
    before = server.memory()
    with Client(server.port, receive_buffer=16384) as client:
        client.ask("GET", "/pressed?n=200")
        client.head()
        # The app has come as far as it will when two looks in a row see the same.
        seen = [0, 1]
        until(lambda: seen.append(server.memory()) or seen[-2:], lambda last: last[0] == last[1])
        assert server.memory() - before < 4 * MEGABYTE
    events = server.until(lambda told: told["in_flight"] == 1)["events"]
    assert events[-1][0] == "pressed" and events[-1][1] < 20


def test_it_cuts_a_reader_that_has_stopped_for_good_and_tells_the_app(start) -> None:  # type: ignore[no-untyped-def]
    server = start(write_stall_seconds=0.3)
    with Client(server.port, receive_buffer=16384) as client:
        client.ask("GET", "/pressed?n=200")
        events = server.until(lambda told: told["in_flight"] == 1)["events"]
        assert events[0] == "disconnect" and events[1][0] == "pressed"


def test_it_cuts_a_reader_that_leaves_the_end_of_an_answer_unread(start) -> None:  # type: ignore[no-untyped-def]
    server = start(write_stall_seconds=0.3)
    server.get("/")
    before = server.open_files()
    with Client(server.port, receive_buffer=16384) as client:
        client.ask("GET", "/counted?size=20000000", "Connection: close")
        server.until(lambda told: told["in_flight"] == 1)
        until(server.open_files, lambda count: count == before)


def test_it_serves_a_slow_reader_to_the_end(start) -> None:  # type: ignore[no-untyped-def]
    server = start(write_stall_seconds=0.4)
    with Client(server.port, receive_buffer=16384) as client:
        client.ask("GET", "/counted?size=600000", "Connection: close")
        received = 0
        # Slow enough that the kernel's buffer takes nothing for longer than the stall time, yet always reading.
        while data := client.socket.recv(30_000):
            received += len(data)
            time.sleep(0.1)
        assert received > 600_000


def test_it_goes_on_when_a_reader_goes_on(start) -> None:  # type: ignore[no-untyped-def]
    server = start(write_stall_seconds=60)
    with Client(server.port, receive_buffer=16384) as client:
        client.ask("GET", "/pressed?n=20")
        until(lambda: server.events()["in_flight"], lambda count: count == 2)
        assert len(client.answer().body) == 20 * MEGABYTE


def test_it_reads_no_further_requests_from_a_client_that_reads_no_answers(start) -> None:  # type: ignore[no-untyped-def]
    server = start(write_stall_seconds=60)
    server.get("/")
    before = server.memory()
    request = b"GET /counted?size=100000 HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000 + b"\r\n\r\n"
    with Client(server.port, receive_buffer=16384) as client:
        client.socket.settimeout(0.2)
        try:
            for _ in range(2000):
                client.send(request)
        except TimeoutError:
            pass
        else:
            raise AssertionError("the server has read 40 MB of requests ahead of its answers")
        assert server.memory() - before < 4 * MEGABYTE


def test_it_sends_small_parts_without_waiting_for_more(start) -> None:  # type: ignore[no-untyped-def]
    server = start()
    with server.connect() as client:
        client.ask("GET", "/")
        client.answer()
        assert client.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0  # ours is the server's end
        client.ask("GET", "/stream?n=3&size=1&pause=30")
        client.head()
        assert [client.chunk() for _ in range(3)] == [b"0 x\n", b"1 x\n", b"2 x\n"]


def test_it_lets_others_in_while_an_app_sends_without_a_pause(start) -> None:  # type: ignore[no-untyped-def]
    server = start()
    with server.connect() as greedy, server.connect() as modest:
        greedy.ask("GET", "/stream?n=100000&size=1")
        greedy.head()
        modest.ask("GET", "/events")
        assert modest.answer().json()["in_flight"] == 2
