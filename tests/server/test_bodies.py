"""Request bodies: handed over whole, and refused before they are read when they are too large or nobody wants them."""

from hashlib import sha256

import pytest

from tests.server.client import Running

LIMIT = 2**20


def echoed(body: bytes) -> dict[str, object]:
    return {"length": len(body), "sha256": sha256(body).hexdigest(), "pieces": 1}


@pytest.mark.parametrize("size", [0, 1, 1000, 8192, 65_536, 65_537, 300_000, LIMIT])
def test_it_hands_a_body_over_in_one_piece(server: Running, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    with server.connect() as client:
        for _ in range(2):
            client.ask("POST", "/echo", body=body)
            assert client.answer().json() == echoed(body)


def test_it_hands_a_chunked_body_over_in_one_piece(server: Running) -> None:
    wire = b"5\r\nhello\r\n1;note=x\r\n \r\n5\r\nworld\r\n0\r\nX-Trailer: y\r\n\r\n"
    with server.connect() as client:
        client.ask("POST", "/echo", "Transfer-Encoding: chunked", body=wire)
        assert client.answer().json() == echoed(b"hello world")
        client.ask("POST", "/echo", "Transfer-Encoding: Chunked")
        for byte in wire:
            client.send(bytes([byte]))
        assert client.answer().json() == echoed(b"hello world")
        client.ask("GET", "/")
        assert client.answer().body == b"ok"


def test_it_takes_a_chunked_body_of_the_limit(server: Running) -> None:
    body = b"y" * LIMIT
    with server.connect() as client:
        client.ask("POST", "/echo", "Transfer-Encoding: chunked", body=b"%x\r\n" % LIMIT + body + b"\r\n0\r\n\r\n")
        assert client.answer().json() == echoed(body)


@pytest.mark.parametrize("claimed", [LIMIT + 1, 300 * 2**20, 10**17])
def test_it_refuses_a_body_that_says_it_is_too_large(server: Running, claimed: int) -> None:
    with server.connect() as client:
        client.ask("POST", "/echo", f"Content-Length: {claimed}")
        answer = client.answer()
        assert (answer.status, answer.code) == (413, "request_too_large")
        assert answer.headers["connection"] == "close"
        assert client.closed()


@pytest.mark.parametrize("claimed", [LIMIT + 1, 2**40])
def test_it_refuses_a_chunk_that_says_it_is_too_large(server: Running, claimed: int) -> None:
    with server.connect() as client:
        client.ask("POST", "/echo", "Transfer-Encoding: chunked", body=b"%x\r\n" % claimed)
        answer = client.answer()
        assert (answer.status, answer.code) == (413, "request_too_large")
        assert client.closed()


@pytest.mark.parametrize("header", ["Content-Length: 300000000", "Transfer-Encoding: chunked"])
def test_it_keeps_nothing_of_a_body_that_is_too_large(start, header: str) -> None:  # type: ignore[no-untyped-def]
    server = start(max_request_bytes=LIMIT)
    server.get("/")
    before = server.memory()
    with server.connect() as client:
        client.ask("POST", "/echo", header)
        piece = b"z" * 65536
        if "chunked" in header:
            piece = b"10000\r\n" + piece + b"\r\n"
        for _ in range(4_000):
            client.send(piece)
        assert server.memory() - before < 8 * 2**20
        assert client.answer().status == 413


def test_it_holds_a_large_body_once(start) -> None:  # type: ignore[no-untyped-def]
    server = start()
    server.get("/")
    before = server.memory()
    body = b"z" * (60 * 2**20)
    with server.connect() as client:
        client.ask("POST", "/waiting", f"Content-Length: {len(body)}")
        for at in range(0, len(body), 2**20):
            client.send(body[at : at + 2**20])
        server.until(lambda told: told["in_flight"] == 2)
        assert server.memory() - before < 80 * 2**20


# The app never sees these: `early` answers where the key is unknown.


@pytest.mark.parametrize("header", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
def test_it_asks_before_it_reads_a_large_body(server: Running, header: str) -> None:
    with server.connect() as client:
        client.ask("POST", "/fail", "Authorization: Bearer unknown", header)
        answer = client.answer()
        assert (answer.status, answer.body) == (401, b"{}")
        assert answer.names.count("content-length") == 1
        assert client.closed()


def test_it_does_not_ask_for_a_small_body(server: Running) -> None:
    with server.connect() as client:
        client.ask("POST", "/echo", "Authorization: Bearer unknown", body=b"small")
        assert client.answer().json() == echoed(b"small")


def test_it_invites_a_body_that_waits_to_be_invited(server: Running) -> None:
    with server.connect() as client:
        client.ask("POST", "/echo", "Expect: 100-Continue", "Content-Length: 5")
        assert client.head() == (100, [])
        client.send(b"hello")
        assert client.answer().json() == echoed(b"hello")


def test_it_invites_no_body_that_is_already_there(server: Running) -> None:
    with server.connect() as client:
        client.ask("POST", "/echo", "Expect: 100-continue", body=b"hello")
        assert client.answer().json() == echoed(b"hello")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (["Content-Length: 2000000"], 413),
        (["Content-Length: 100000", "Authorization: Bearer unknown"], 401),
        (["Content-Length: 5", "Authorization: Bearer unknown"], 401),
    ],
)
def test_it_invites_no_body_it_would_refuse(server: Running, headers: list[str], status: int) -> None:
    with server.connect() as client:
        client.ask("POST", "/echo", "Expect: 100-continue", *headers)
        assert client.answer().status == status
        assert client.closed()
