import h11
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qlite_site.server.head import Head, parse, path_text
from qlite_site.server.refusals import Refused

TOKENS = st.text("abcXYZ019-!#$%&'*+.^`|~", min_size=1, max_size=8).map(str.encode)
VALUES = st.text([chr(code) for code in range(0x20, 0x7F)] + ["\t", "é"], max_size=12).map(
    lambda v: v.encode("latin-1")
)
LINES = st.one_of(
    st.tuples(TOKENS, VALUES).map(lambda pair: b"%b: %b" % pair),
    st.sampled_from([b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: close", b"Host: other"]),
)
NOISE = st.sampled_from([b"", b"\0", b"\r", b"\n", b" ", b"\t", b":", b"\x7f", b"\x80", b"\r\n ", b",", b"_"])


def read(*lines: bytes, first: bytes = b"GET / HTTP/1.1") -> Head:
    return parse(b"\r\n".join([first, b"Host: localhost", *lines, b""]))


def test_it_knows_how_long_the_body_is() -> None:
    assert read().length == 0
    assert read(b"Content-Length: 007").length == 7
    assert read(b"transfer-encoding: CHUNKED").length is None


def test_it_knows_whether_the_connection_stays() -> None:
    assert read().keep_alive
    assert read(b"Connection: keep-alive").keep_alive
    assert not read(b"Connection: Upgrade", b"Connection: x, Close").keep_alive
    assert not read(first=b"GET / HTTP/1.0").keep_alive


def test_it_drops_names_that_would_pass_for_others_in_request_meta() -> None:
    assert read(b"X_Forwarded_For: 1", b"X-Fine: 2").headers == [(b"host", b"localhost"), (b"x-fine", b"2")]


def test_it_does_not_invite_a_body_in_http_1_0() -> None:
    assert read(b"Expect: 100-continue").expects_continue
    assert not read(b"Expect: 100-continue", first=b"GET / HTTP/1.0").expects_continue


def test_it_reads_a_path_as_utf_8() -> None:
    assert path_text(b"/plain") == "/plain"
    assert path_text(b"/caf%C3%A9%2f%00") == "/café/\0"
    assert path_text(b"/%ff") == "/\ufffd"


def test_it_does_not_take_long_over_a_hostile_line() -> None:
    with pytest.raises(Refused):
        read(b"X:" + b" " * 16_000 + b"\0" + b" " * 16_000)


@given(st.lists(LINES, max_size=5), NOISE, st.integers(0, 200))
def test_it_accepts_nothing_that_h11_refuses_and_reads_it_alike(lines: list[bytes], noise: bytes, at: int) -> None:
    block = b"\r\n".join([b"POST /a?b HTTP/1.1", b"Host: localhost", *lines, b""])
    block = block[:at] + noise + block[at:]
    assume(block.endswith(b"\r\n") and b"\r\n\r\n" not in block)  # where the head ends is the caller's to know
    try:
        head = parse(block)
    except Refused:
        return
    judge = h11.Connection(h11.SERVER)
    judge.receive_data(block + b"\r\n")
    event = judge.next_event()
    assert isinstance(event, h11.Request)
    assert event.target in (head.target, head.target.replace(b"http://localhost", b"", 1))
    assert [pair for pair in event.headers if b"_" not in pair[0]] == head.headers
    framing, length = h11._connection._body_framing(b"POST", event)
    assert (head.length is None) == (framing == "chunked")
    if framing == "content-length":
        assert length == (head.length,)


@given(st.binary(max_size=200))
def test_it_refuses_or_reads_whatever_comes(junk: bytes) -> None:
    try:
        parse(junk + b"\r\n")
    except Refused as refused:
        assert refused.status in {400, 405, 431}
