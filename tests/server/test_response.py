import pytest

from qlite_site.server import response
from qlite_site.server.config import Headers

DATE = b"\r\ndate: now"


def test_it_writes_a_head() -> None:
    lines, length, close = response.head(404, [(b"X-One", b"1"), (b"content-length", b"12")], DATE)
    assert lines == b"HTTP/1.1 404 Not Found\r\nX-One: 1\r\ncontent-length: 12\r\ndate: now"
    assert (length, close) == (12, False)


def test_it_keeps_the_apps_own_date() -> None:
    assert response.head(200, [(b"Date", b"then")], DATE)[0].count(b"\r\n") == 1


def test_it_frames_the_body_itself_whatever_the_app_says() -> None:
    headers: Headers = [(b"Transfer-Encoding", b"chunked"), (b"Connection", b"Close"), (b"Keep-Alive", b"9")]
    assert response.head(200, headers, b"") == (b"HTTP/1.1 200 OK", None, True)


@pytest.mark.parametrize("name", [b"x y", b"", b"x:", b"x\r\ny", "text"])
def test_it_refuses_names_that_are_none(name: bytes) -> None:
    with pytest.raises(ValueError, match="header"):
        response.head(200, [(name, b"1")], DATE)


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"a\rb", b"a\0b"])
def test_it_refuses_values_that_would_split_the_response(value: bytes) -> None:
    with pytest.raises(ValueError, match="line break"):
        response.head(200, [(b"x", value)], DATE)


@pytest.mark.parametrize("status", [100, 101, 199, 0, 1000])
def test_it_refuses_a_status_that_ends_nothing(status: int) -> None:
    with pytest.raises(ValueError, match="status"):
        response.head(status, [], DATE)


def test_it_says_no_length_with_204() -> None:
    assert response.head(204, [(b"content-length", b"0")], b"")[0] == b"HTTP/1.1 204 No Content"


def test_it_frames_chunks() -> None:
    assert response.chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"


def test_it_takes_a_status_without_a_name() -> None:
    assert response.head(529, [], b"")[0] == b"HTTP/1.1 529 "
