import pytest

from qlite_site.server.body import ChunkedBody, CountedBody
from qlite_site.server.refusals import Refused

WIRE = b"4;x=y\r\nWiki\r\n6\r\npedia \r\nB\r\nin \r\nchunks\r\n0\r\nX-T: 1\r\n\r\nNEXT"


def test_it_does_not_matter_where_a_chunked_body_is_cut() -> None:
    for cut in range(1, len(WIRE) - 4):
        body = ChunkedBody(100)
        assert body.feed(WIRE[:cut]) is None
        assert body.feed(WIRE[cut:]) == b"NEXT"
        assert body.content() == b"Wikipedia in \r\nchunk" + b"s"


def test_it_does_not_matter_where_a_counted_body_is_cut() -> None:
    for cut in range(10):
        body = CountedBody(10)
        assert body.feed(b"0123456789"[:cut]) is None
        assert body.feed(b"0123456789NEXT"[cut:]) == b"NEXT"
        assert body.content() == b"0123456789"


def test_it_stops_at_the_limit() -> None:
    body = ChunkedBody(10)
    assert body.feed(b"5\r\n12345\r\n5\r\n12345") is None
    with pytest.raises(Refused) as refused:
        body.feed(b"\r\n1\r\n6")
    assert refused.value.status == 413


def test_it_takes_a_last_chunk_that_just_fits() -> None:
    assert ChunkedBody(10).feed(b"5\r\n12345\r\n5\r\n") is None


@pytest.mark.parametrize("wire", [b"b\r\n", b"b\r\n12", b"6\r\n123456\r\n5\r\n", b"f" * 16 + b"\r\n"])
def test_it_stops_at_the_size_of_a_chunk_that_will_pass_the_limit(wire: bytes) -> None:
    with pytest.raises(Refused) as refused:
        ChunkedBody(10).feed(wire)
    assert refused.value.status == 413
