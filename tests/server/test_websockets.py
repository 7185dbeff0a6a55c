"""WebSockets, switched on: Daphne's protocol behind our connections."""

import json
import signal
from typing import Any

import pytest

from tests.server.client import Client, Running, until


@pytest.fixture
def mine(start) -> Running:  # type: ignore[no-untyped-def]
    return start(websockets=True)


def upgrade(server: Running, target: str, *headers: str, client: Client | None = None) -> tuple[Client, int]:
    client = client or server.connect()
    handshake = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    client.ask("GET", target, *handshake, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *headers)
    return client, client.head()[0]


def frame(data: bytes, *, kind: int = 0x81) -> bytes:
    """One message of a client's; the mask of zeros leaves the data as it is."""
    size = len(data)
    if size < 126:
        length = bytes([0x80 | size])
    else:
        length = b"\xfe" + size.to_bytes(2, "big") if size < 2**16 else b"\xff" + size.to_bytes(8, "big")
    return bytes([kind]) + length + bytes(4) + data


def say(client: Client, text: str) -> None:
    client.send(frame(text.encode()))


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
    told = mine.until(lambda told: len(told["events"]) == 2)["events"]
    assert "hangup" in told and ["websocket", 1006] in told


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


def test_it_says_goodbye_when_the_time_to_drain_is_over(start) -> None:  # type: ignore[no-untyped-def]
    mine = start(websockets=True, drain_seconds=0.5)
    clients = [upgrade(mine, "/x")[0] for _ in range(3)]
    mine.signal(signal.SIGTERM)
    for client in clients:
        say(client, "one more")
        assert hear(client)[0] == "one more"
    assert [hear(client) for client in clients] == [1001] * 3
    assert mine.wait() == 0
    assert "Traceback" not in mine.log()


def test_it_refuses_with_the_answer_of_the_app(mine: Running) -> None:
    client, status = upgrade(mine, "/refuse")
    assert status == 429
    assert client.rest() == b'{"error":{"code":"later"}}'
    assert upgrade(mine, "/x")[1] == 101


def test_it_accepts_with_headers_and_a_protocol(mine: Running) -> None:
    client = mine.connect()
    client.ask("GET", "/x", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Connection: Upgrade",
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: one, two")  # fmt: skip
    status, headers = client.head()
    assert status == 101
    assert dict(headers)["x-told"] == "yes" and dict(headers)["sec-websocket-protocol"] == "one"


@pytest.mark.parametrize("data", [b"", b"\0\xff", b"x" * 100_000])
def test_it_brings_bytes_back_as_they_were(mine: Running, data: bytes) -> None:
    client, _ = upgrade(mine, "/x")
    client.send(frame(data, kind=0x82))
    head = client.take(2)
    assert head[0] == 0x82
    size = int.from_bytes(client.take(8), "big") if head[1] == 127 else head[1]
    assert client.take(size) == data


def test_it_closes_for_the_reason_that_the_app_gives(mine: Running) -> None:
    client, _ = upgrade(mine, "/x")
    say(client, "dismiss")
    kind, length = client.take(2)
    assert (kind, client.take(length)) == (0x88, (1008).to_bytes(2, "big") + b"enough")


def test_it_refuses_a_message_beyond_the_limit(start) -> None:  # type: ignore[no-untyped-def]
    client, _ = upgrade(start(websockets=True, max_request_bytes=1000), "/x")
    client.send(frame(b"x" * 2000))
    assert hear(client) == 1009


def test_the_app_waits_while_its_client_does_not_read(mine: Running) -> None:
    slow = Client(mine.port, receive_buffer=16384)
    mine._clients.append(slow)
    client, _ = upgrade(mine, "/flood", client=slow)
    sent = mine.until(lambda told: told["events"])["events"][0]
    assert sent < 32  # nothing else would have made the app pause
    client.socket.close()


def test_a_client_is_not_read_from_while_the_app_lags_behind(mine: Running) -> None:
    client, _ = upgrade(mine, "/busy")
    client.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        for _ in range(64):
            client.send(frame(b"x" * 2**20, kind=0x82))


def test_it_notices_that_a_client_has_left_which_is_not_read_from(mine: Running) -> None:
    client, _ = upgrade(mine, "/busy")
    client.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        for _ in range(64):
            client.send(frame(b"x" * 2**20, kind=0x82))
    client.socket.close()
    assert mine.until(lambda told: told["events"])["events"] == ["hangup"]


def test_they_count_as_connections(start) -> None:  # type: ignore[no-untyped-def]
    mine = start(websockets=True, max_connections=2)
    clients = [upgrade(mine, "/x")[0] for _ in range(2)]
    assert mine.get("/").status == 503
    clients[0].socket.close()
    assert until(lambda: mine.get("/").status, lambda status: status == 200)
