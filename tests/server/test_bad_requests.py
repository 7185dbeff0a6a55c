"""Requests that are not HTTP/1.1 as we understand it: one answer, in JSON, and the connection closed."""

import pytest

from tests.server.client import Running, until

HOST = b"Host: localhost\r\n"
GET, POST = b"GET / HTTP/1.1\r\n" + HOST, b"POST / HTTP/1.1\r\n" + HOST
BAD = {
    "length and encoding": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
    "encoding and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "the same length twice": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "length with a plus": POST + b"Content-Length: +5\r\n\r\n12345",
    "negative length": POST + b"Content-Length: -1\r\n\r\n",
    "length with underscore": POST + b"Content-Length: 1_0\r\n\r\n1234567890",
    "empty length": POST + b"Content-Length:\r\n\r\n",
    "length without end": POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n",
    "length in other digits": POST + "Content-Length: ３\r\n\r\nabc".encode(),
    "unknown encoding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two encodings": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "gzip encoding": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "encoding twice": POST + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "encoding in 1.0": b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "blank before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "chunk size in hex notation": POST + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n",
    "chunk without its end": POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n",
    "endless chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 2000,
    "no method": b"\x7f / HTTP/1.1\r\n" + HOST + b"\r\n",
    "no version": b"GET /\r\n\r\n",
    "version 9.9": b"GET / HTTP/9.9\r\n" + HOST + b"\r\n",
    "version 2.0": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "version in lower case": b"GET / http/1.1\r\n" + HOST + b"\r\n",
    "TLS": bytes.fromhex("16030100a5010000a1030352362c10"),
    "NUL in a value": GET + b"X: a\0b\r\n\r\n",
    "CR in a value": GET + b"X: a\rb\r\n\r\n",
    "LF in a value": GET + b"X: a\nY: b\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\nHost: localhost\n\n",
    "folded line": GET + b"X: a\r\n b\r\n\r\n",
    "first line folded": b"GET / HTTP/1.1\r\n X: a\r\n" + HOST + b"\r\n",
    "no colon": GET + b"nonsense\r\n\r\n",
    "empty name": GET + b": value\r\n\r\n",
    "blank in a name": GET + b"X Y: value\r\n\r\n",
    "UTF-8 in the path": "GET /café HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    "blank in the path": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "fragment in the path": b"GET /a#b HTTP/1.1\r\n" + HOST + b"\r\n",
    "relative path": b"GET a HTTP/1.1\r\n" + HOST + b"\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "another host in the target": b"GET http://evil/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "user in the target": b"GET http://a@localhost/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "no host in 1.0": b"GET / HTTP/1.0\r\n\r\n",
    "empty host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + HOST * 2 + b"\r\n",
    "host with a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "host with a query": b"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n",
    "host with a fragment": b"GET / HTTP/1.1\r\nHost: a#b\r\n\r\n",
    "host with a user": b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "host with a blank": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "host with a port too high": b"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n",
    "host with a port of letters": b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD)
def test_it_refuses_what_is_not_http(server: Running, name: str) -> None:
    with server.connect() as client:
        client.send(BAD[name])
        answer = client.answer()
        assert (answer.status, answer.code) == (400, "bad_request")
        assert answer.headers["connection"] == "close"
        assert answer.headers["x-error-origin"] == "gateway" and answer.names.count("content-type") == 1
        assert client.closed()


@pytest.mark.parametrize("name", BAD)
def test_it_answers_once_whatever_follows(server: Running, name: str) -> None:
    with server.connect() as client:
        client.send(BAD[name] + b"GET /scope HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
        assert client.answer().status == 400
        assert client.closed()


@pytest.mark.parametrize("host", ["localhost", "LocalHost:80", "[::1]", "[::1]:8080", "a-b.c_d.example:65535"])
def test_it_takes_every_host_that_is_one(server: Running, host: str) -> None:
    with server.connect() as client:
        client.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert client.answer().status == 200


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "FOO", "get"])
def test_it_names_the_methods_it_knows(server: Running, method: str) -> None:
    with server.connect() as client:
        client.ask(method, "/")
        answer = client.answer()
        assert (answer.status, answer.code) == (405, "method_not_allowed")
        assert answer.headers["allow"] == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


def test_it_takes_fifteen_kilobytes_of_headers(server: Running) -> None:
    assert server.get("/", f"X-Long: {'x' * 15_000}").status == 200


@pytest.mark.parametrize("line", ["X-Long: " + "x" * 33_000, "\r\n".join(f"X-{n}: {n}" for n in range(600))])
def test_it_refuses_too_many_headers(server: Running, line: str) -> None:
    answer = server.get("/", line)
    assert (answer.status, answer.code) == (431, "headers_too_large")


def test_it_refuses_a_head_without_end(server: Running) -> None:
    with server.connect() as client:
        client.send(b"GET /" + b"x" * 40_000)
        assert client.answer().status == 431


def test_it_refuses_websockets_without_fuss(start) -> None:  # type: ignore[no-untyped-def]
    server = start()
    server.get("/")
    files = server.open_files()
    upgrade = ["Upgrade: WebSocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Origin: https://evil.example"]
    for _ in range(100):
        answer = server.get("/anything", *upgrade, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        assert (answer.status, answer.code) == (400, "bad_request")
    until(server.open_files, lambda count: count <= files)
    assert server.log() == ""


def test_it_ignores_other_upgrades(server: Running) -> None:
    assert server.get("/", "Upgrade: h2c", "Connection: Upgrade").status == 200


def test_it_shows_a_refused_client_its_answer_however_much_it_sends(server: Running) -> None:
    with server.connect() as client:
        client.send(b"nonsense\r\n\r\n" + b"x" * 3_000_000)
        assert client.answer().status == 400
