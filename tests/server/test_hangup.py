"""Clients who leave: the app hears of it at once, and an app that does not listen is not left running."""

import asyncio
import signal
import socket
import struct
from types import SimpleNamespace
from typing import Any

import pytest

from qlite_site.server.exchange import Exchange
from qlite_site.server.head import parse
from tests.server.client import Running, until


@pytest.fixture
def mine(start) -> Running:  # type: ignore[no-untyped-def]
    return start(abandon_seconds=0.2)


def test_it_tells_the_app_that_the_client_has_left(mine: Running) -> None:
    with mine.connect() as client:
        client.ask("GET", "/waiting")
        until(mine.events, lambda told: told["in_flight"] == 2)
        # Right behind the request it might be a half-close; a moment later it is not.
        client.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)
    told = mine.until(lambda told: told["in_flight"] == 1)
    assert sorted(told["events"]) == ["disconnect", "hangup"]


def test_it_tells_the_app_of_a_reset(mine: Running) -> None:
    with mine.connect() as client:
        client.ask("GET", "/waiting")
        mine.until(lambda told: told["in_flight"] == 2)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert sorted(mine.until(lambda told: told["in_flight"] == 1)["events"]) == ["disconnect", "hangup"]


async def test_it_tells_an_app_that_begins_after_its_client_has_left() -> None:
    """And not before its first step is over: what it has not begun it cannot stop."""
    channel: Any = SimpleNamespace(front=SimpleNamespace(loop=asyncio.get_running_loop()))
    exchange, told = Exchange(channel, parse(b"GET / HTTP/1.1\r\nhost: x\r\n"), b"", 0.0), []
    exchange.hang_up()
    exchange.watch(lambda: told.append("hung up"))
    assert told == []
    await asyncio.sleep(0)
    assert told == ["hung up"]


def test_it_tells_the_app_in_the_middle_of_a_stream(mine: Running) -> None:
    with mine.connect() as client:
        client.ask("GET", "/pressed?n=1000")
        client.head()
        client.chunk()
    events = mine.until(lambda told: told["in_flight"] == 1)["events"]
    assert events[0] == "disconnect" and events[1][0] == "pressed" and events[1][1] < 100


def test_it_answers_a_client_that_only_ended_its_own_side(mine: Running) -> None:
    with mine.connect() as client:
        client.ask("GET", "/waiting?pause=150")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.answer().json() == {"late": True}
        assert client.closed()


def test_it_sends_all_to_a_client_that_ended_its_own_side(mine: Running) -> None:
    with mine.connect() as client:
        client.ask("GET", "/")
        client.ask("GET", "/counted?size=5000000")
        client.ask("GET", "/stream?n=3")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.answer().body == b"ok"
        assert len(client.answer().body) == 5_000_000
        assert client.answer().body.endswith(b"[DONE]\n")
        assert client.closed()


def test_it_asks_a_client_that_ended_its_own_side_whether_it_is_there(mine: Running) -> None:
    with mine.connect() as client:
        client.ask("GET", "/waiting?pause=500")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.head() == (100, [])
        assert client.answer().json() == {"late": True}
        assert client.closed()


def test_it_notices_a_client_that_left_as_soon_as_it_had_asked(mine: Running) -> None:
    with mine.connect() as client:
        client.ask("GET", "/waiting")
    assert sorted(mine.until(lambda told: told["events"])["events"]) == ["disconnect", "hangup"]


def test_it_notices_when_a_client_that_seemed_half_closed_was_gone(mine: Running) -> None:
    with mine.connect() as client:
        client.ask("GET", "/stream?n=100000&pause=20")
    mine.until(lambda told: told["in_flight"] == 1)


def test_it_cancels_an_app_that_goes_on_without_its_client(mine: Running) -> None:
    with mine.connect() as client:
        client.ask("GET", "/deaf")
        mine.until(lambda told: told["in_flight"] == 2)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert mine.until(lambda told: told["in_flight"] == 1)["events"] == [["cancelled", "client_disconnected"]]
    assert "Traceback" not in mine.log()


def test_it_does_not_begin_requests_whose_client_has_left(mine: Running) -> None:
    with mine.connect() as client:
        client.ask("GET", "/waiting")
        for _ in range(50):
            client.ask("GET", "/fail")
        mine.until(lambda told: told["in_flight"] == 2)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    mine.until(lambda told: told["in_flight"] == 1)
    assert "boom" not in mine.log()


def test_it_notices_a_reset_while_it_does_not_read(mine: Running) -> None:
    with mine.connect() as client:
        client.ask("GET", "/waiting")
        client.send(b"x" * 200_000)
        mine.until(lambda told: told["in_flight"] == 2)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert sorted(mine.until(lambda told: told["in_flight"] == 1)["events"]) == ["disconnect", "hangup"]


def test_it_notices_a_reset_that_comes_with_data(mine: Running) -> None:
    with mine.connect() as client:
        client.ask("GET", "/waiting")
        mine.until(lambda told: told["in_flight"] == 2)
        mine.signal(signal.SIGSTOP)
        client.send(b"GET / HTTP/1.1\r\n")
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    mine.signal(signal.SIGCONT)
    assert sorted(mine.until(lambda told: told["in_flight"] == 1)["events"]) == ["disconnect", "hangup"]


def test_it_leaves_nothing_behind(mine: Running) -> None:
    tasks, files = mine.events()["tasks"], mine.open_files()
    for number in range(300):
        with mine.connect() as client:
            client.ask("GET", "/stream?n=50&pause=1" if number % 2 else "/waiting?pause=20")
    told = mine.until(lambda told: told["in_flight"] == 1)
    assert told["tasks"] == tasks
    until(mine.open_files, lambda count: count <= files)
