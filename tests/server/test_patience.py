"""Clients who are slow: each part of a request has its time, a connection without one too."""

from threading import Thread

from tests.server.client import Client, Running, until


def test_it_closes_when_a_head_does_not_come_to_its_end(server: Running) -> None:
    with server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: loc")
        assert client.closed()


def test_it_gives_a_head_its_time_once_however_it_drips(server: Running) -> None:
    with server.connect() as client:
        drip(client, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
        assert client.closed()


def test_it_closes_when_a_body_does_not_come_to_its_end(server: Running) -> None:
    with server.connect() as client:
        client.ask("POST", "/echo", "Content-Length: 10")
        drip(client, b"123")
        assert client.closed()


def test_it_closes_when_a_chunked_body_does_not_come_to_its_end(server: Running) -> None:
    with server.connect() as client:
        client.ask("POST", "/echo", "Transfer-Encoding: chunked")
        drip(client, b"2\r\nab\r\n")
        assert client.closed()


def drip(client: Client, data: bytes) -> None:
    def one_by_one() -> None:
        try:
            for byte in data:
                client.send(bytes([byte]))
        except OSError:
            pass

    Thread(target=one_by_one).start()


def test_it_does_not_hurry_an_app_that_takes_longer(server: Running) -> None:
    with server.connect() as client:
        client.ask("POST", "/waiting?pause=900", body=b"abc")
        assert client.answer().json() == {"late": True}


def test_it_closes_connections_nobody_uses(start) -> None:  # type: ignore[no-untyped-def]
    server = start(idle_seconds=0.3)
    with server.connect() as fresh, server.connect() as used:
        used.ask("GET", "/")
        assert used.answer().body == b"ok"
        assert fresh.closed() and used.closed()


def test_it_counts_idle_time_from_the_answer(start) -> None:  # type: ignore[no-untyped-def]
    server = start(idle_seconds=0.5)
    with server.connect() as client:
        client.ask("GET", "/waiting?pause=1000")
        client.answer()
        client.ask("GET", "/")
        assert client.answer().body == b"ok"


def test_it_does_not_call_a_connection_idle_that_is_sending(start) -> None:  # type: ignore[no-untyped-def]
    server = start(idle_seconds=0.3)
    with server.connect() as client:
        client.ask("POST", "/echo", "Content-Length: 6")
        client.send(b"abc")
        client.socket.settimeout(0.8)
        try:
            client.socket.recv(1)
        except TimeoutError:
            client.send(b"def")
        client.socket.settimeout(5)
        assert client.answer().json()["length"] == 6


def test_it_refuses_more_connections_than_it_may_have(start) -> None:  # type: ignore[no-untyped-def]
    server = start(max_connections=3)
    with server.connect() as one, server.connect() as two, server.connect() as three:
        for client in (one, two, three):
            client.ask("GET", "/")
            assert client.answer().status == 200
        with server.connect() as fourth:
            answer = fourth.answer()
            assert (answer.status, answer.code) == (503, "overloaded")
            assert answer.headers["retry-after"] == "1"
            assert fourth.closed()
    until(lambda: server.get("/").status, lambda status: status == 200)


def test_it_closes_slow_ones_by_the_hundred_and_serves_the_rest(start) -> None:  # type: ignore[no-untyped-def]
    server = start(header_seconds=0.3)
    server.get("/")
    files = server.open_files()
    slow = [server.connect() for _ in range(500)]
    for client in slow:
        client.send(b"GET / HT")
    assert server.get("/").body == b"ok"
    until(server.open_files, lambda count: count <= files)
    for client in slow:
        client.socket.close()
