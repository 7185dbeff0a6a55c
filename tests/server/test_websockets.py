"""WebSockets, switched on: Daphne's protocol behind our connections."""

import json
import signal
from typing import Any

import pytest

from tests.server.client import Client, Running, until


@pytest.fixture
def mine(start) -> Running:  # type: ignore[no-untyped-def]
    return start(websockets=True)


def upgrade(server: Running, target: str, *headers: str) -> tuple[Client, int]:
    client = server.connect()
    handshake = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    client.ask("GET", target, *handshake, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *headers)
    return client, client.head()[0]


def say(client: Client, text: str) -> None:
    data, mask = text.encode(), b"\1\2\3\4"
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
    client.send(bytes([0x81, 0x80 | len(data)]) + mask + masked)


def hear(client: Client) -> Any:
    """Return a text message from JSON, or the code of a close."""
    kind, length = client.take(2)
    data = client.take(length)
    return json.loads(data) if kind == 0x81 else int.from_bytes(data[:2], "big")


def test_it_talks(mine: Running) -> None:
    client, status = upgrade(mine, "/live/?a=1", "Daphne-Root-Path: /evil", "X-Forwarded-For: 6.6.6.6")
    assert status == 101
    for word in ("one", "two"):
        say(client, word)
        assert hear(client) == [word, "/live/", "", "a=1", "127.0.0.1"]
    client.socket.close()
    assert mine.until(lambda told: told["events"])["events"] == [["websocket", 1006]]


def test_it_talks_on_a_connection_that_was_used_before(mine: Running) -> None:
    with mine.connect() as client:
        client.ask("GET", "/")
        assert client.answer().status == 200
        client.ask("GET", "/x", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Connection: Upgrade",
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")  # fmt: skip
        assert client.head()[0] == 101


def test_it_rejects_when_the_app_does(mine: Running) -> None:
    files = mine.get("/") and mine.open_files()
    for _ in range(20):
        client, status = upgrade(mine, "/reject")
        assert status == 403
        client.socket.close()
    until(mine.open_files, lambda count: count <= files)
    assert "Traceback" not in mine.log()


def test_it_refuses_a_head_that_reads_in_two_ways(mine: Running) -> None:
    assert upgrade(mine, "/x", "X: a\x85Daphne-Root-Path: /evil")[1] == 400


def test_it_closes_when_the_app_fails_and_goes_on(mine: Running) -> None:
    for _ in range(3):
        client, _ = upgrade(mine, "/x")
        say(client, "fail")
        assert hear(client) == 1011
    other, _ = upgrade(mine, "/x")
    say(other, "still there")
    assert hear(other)[0] == "still there"
    assert mine.log().count("ValueError: boom in a websocket") == 3


def test_it_closes_when_the_app_returns(mine: Running) -> None:
    client, _ = upgrade(mine, "/x")
    say(client, "leave")
    assert hear(client) == 1000


def test_it_says_goodbye_when_the_server_stops(mine: Running) -> None:
    clients = [upgrade(mine, "/x")[0] for _ in range(3)]
    mine.signal(signal.SIGTERM)
    for client in clients:
        assert hear(client) == 1001
    assert mine.wait() == 0
    assert "Traceback" not in mine.log()
