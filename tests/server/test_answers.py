"""What a well-behaved client gets: HTTP/1.1 as it is meant."""

from random import Random
from threading import Thread

import pytest

from tests.server.client import Running


def test_it_answers(server: Running) -> None:
    answer = server.get("/")
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["date"].endswith("GMT")
    assert "connection" not in answer.headers and "transfer-encoding" not in answer.headers


def test_it_keeps_the_connection(server: Running) -> None:
    with server.connect() as client:
        for _ in range(3):
            client.ask("GET", "/")
            assert client.answer().body == b"ok"


def test_it_answers_pipelined_requests_in_order(server: Running) -> None:
    with server.connect() as client:
        request = "GET /stream?n={}&size=10 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        client.send("".join(request.format(number) for number in range(100)).encode())
        for number in range(100):
            assert client.answer().body.count(b"\n") == number + 1


def test_it_answers_pipelined_requests_with_bodies(server: Running) -> None:
    with server.connect() as client:
        for size in (10, 70_000, 0, 200_000):
            client.ask("POST", "/echo", body=b"y" * size)
        assert [client.answer().json()["length"] for _ in range(4)] == [10, 70_000, 0, 200_000]


@pytest.mark.parametrize("seed", range(5))
def test_it_does_not_matter_how_pipelined_requests_are_cut(server: Running, seed: int) -> None:
    random = Random(seed)
    sizes = [random.choice([0, 1, 100, 30_000, 66_000]) for _ in range(40)]
    wire = b"".join(
        b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size + b"z" * size for size in sizes
    )
    with server.connect() as client:

        def send() -> None:
            at = 0
            while at < len(wire):
                step = random.choice([1, 7, 90, 1000, 50_000])
                client.send(wire[at : at + step])
                at += step

        sender = Thread(target=send)
        sender.start()
        assert [client.answer().json()["length"] for _ in sizes] == sizes
        sender.join()


def test_it_closes_when_asked_to(server: Running) -> None:
    with server.connect() as client:
        client.ask("GET", "/", "Connection: Close")
        assert client.answer().headers["connection"] == "close"
        assert client.closed()


def test_it_closes_when_the_app_asks(server: Running) -> None:
    with server.connect() as client:
        client.ask("GET", "/closing")
        answer = client.answer()
        assert answer.headers["connection"] == "close" and answer.names.count("connection") == 1
        assert client.closed()


def test_it_chunks_what_has_no_length(server: Running) -> None:
    with server.connect() as client:
        client.ask("GET", "/stream?n=3&size=5")
        _, headers = client.head()
        assert dict(headers)["transfer-encoding"] == "chunked"
        parts = []
        while piece := client.chunk():
            parts.append(piece)
        assert b"".join(parts) == b"0 xxxxx\n1 xxxxx\n2 xxxxx\n[DONE]\n"


def test_it_sends_the_first_chunk_before_the_second_is_made(server: Running) -> None:
    with server.connect() as client:
        client.ask("GET", "/stream?n=2&size=1&pause=5000")
        client.head()
        assert client.chunk() == b"0 x\n"


def test_it_sends_a_large_answer_whole(server: Running) -> None:
    with server.connect() as client:
        client.ask("GET", "/counted?size=5000000")
        assert len(client.answer().body) == 5_000_000
        client.ask("GET", "/")
        assert client.answer().body == b"ok"


def test_it_sends_large_chunks_whole(server: Running) -> None:
    answer = server.get("/stream?n=5&size=300000")
    assert len(answer.body) == 5 * 300_003 + len(b"[DONE]\n")


def test_it_sends_no_body_to_head(server: Running) -> None:
    with server.connect() as client:
        client.ask("HEAD", "/")
        answer = client.answer(to_head=True)
        assert (answer.status, answer.headers["content-length"]) == (200, "2")
        client.ask("HEAD", "/stream")
        assert "transfer-encoding" not in client.answer(to_head=True).headers
        client.ask("GET", "/")
        assert client.answer().body == b"ok"


@pytest.mark.parametrize("status", [204, 304])
def test_it_sends_no_body_with_a_status_that_has_none(server: Running, status: int) -> None:
    with server.connect() as client:
        client.ask("GET", f"/without-body?status={status}")
        answer = client.answer()
        assert answer.status == status and "transfer-encoding" not in answer.headers
        client.ask("GET", "/")
        assert client.answer().body == b"ok"


def test_it_speaks_http_1_0(server: Running) -> None:
    with server.connect() as client:
        client.ask("GET", "/stream?n=2&size=1", version="1.0")
        answer = client.answer()
        assert answer.body == b"0 x\n1 x\n[DONE]\n"
        assert "transfer-encoding" not in answer.headers


def test_it_takes_a_request_byte_by_byte(server: Running) -> None:
    with server.connect() as client:
        for byte in b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc":
            client.send(bytes([byte]))
        assert client.answer().json()["length"] == 3


def test_it_forgives_an_empty_line_before_a_request(server: Running) -> None:
    with server.connect() as client:
        client.send(b"\r\n")
        client.ask("GET", "/")
        client.send(b"\r\n\r")
        client.send(b"\n")
        client.ask("GET", "/")
        assert client.answer().body == client.answer().body == b"ok"


def test_it_takes_an_absolute_target(server: Running) -> None:
    with server.connect() as client:
        client.ask("GET", "http://LOCALHOST/scope/x?y=1")
        scope = client.answer().json()
        assert (scope["path"], scope["query_string"]) == ("/scope/x", "y=1")


def test_it_tells_the_app_what_was_asked(server: Running) -> None:
    with server.connect() as client:
        client.ask("GET", "/scope/caf%C3%A9?a=%20b", "X-One:  spaced out\t", "X-Two: a", "X-Two: b", "X_Three: hidden")
        scope = client.answer().json()
        port = client.socket.getsockname()[1]
    assert scope["path"] == "/scope/café"
    assert scope["raw_path"] == "/scope/caf%C3%A9"
    assert scope["query_string"] == "a=%20b"
    assert (scope["method"], scope["http_version"], scope["scheme"]) == ("GET", "1.1", "http")
    assert scope["headers"] == [["host", "localhost"], ["x-one", "spaced out"], ["x-two", "a"], ["x-two", "b"]]
    assert scope["client"] == ["127.0.0.1", port]
    assert scope["server"] == ["127.0.0.1", server.port]


def test_it_runs_on_uvloop(server: Running) -> None:
    assert server.get("/scope").json()["loop"] == "uvloop"


def test_it_lets_no_header_change_who_asks_or_where(server: Running) -> None:
    scope = server.get(
        "/scope",
        "Daphne-Root-Path: /evil",
        "X-Script-Name: /evil",
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Port: 1",
        "Forwarded: for=6.6.6.6;proto=https",
    ).json()
    assert (scope["root_path"], scope["client"][0], scope["scheme"]) == ("", "127.0.0.1", "http")


def test_it_takes_the_root_path_from_its_configuration(start) -> None:  # type: ignore[no-untyped-def]
    assert start(root_path="/llm").get("/scope").json()["root_path"] == "/llm"
