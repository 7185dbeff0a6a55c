import pytest

from proxy import sse

WIRE = (
    b": hello\n\n"
    b'data: {"a": "\xe2\x82\xac"}\n\n'
    b"event: ping\r\ndata: one\r\ndata:two\r\n\r\n"
    b"data: \xe2\x80\xa8 line separator is text\n\n"
    b"data: [DONE]\n\n"
)


def test_it_does_not_matter_where_the_bytes_are_cut() -> None:
    for cut in range(len(WIRE)):
        splitter = sse.Splitter()
        whole = splitter.feed(WIRE[:cut]) + splitter.feed(WIRE[cut:])
        assert whole == WIRE
        assert splitter.rest == b""


def test_it_hands_on_whole_events_only() -> None:
    splitter = sse.Splitter()
    for byte in range(len(WIRE)):
        out = splitter.feed(WIRE[byte : byte + 1])
        assert not out or out.endswith((b"\n\n", b"\r\n\r\n"))


def test_it_reads_data_names_and_comments() -> None:
    found = sse.events(WIRE)
    assert [sse.data_of(event) for event in found] == [
        None,
        '{"a": "€"}'.encode(),
        b"one\ntwo",
        "\u2028 line separator is text".encode(),
        b"[DONE]",
    ]
    assert sse.name_of(found[2]) == b"ping"
    assert sse.name_of(found[1]) == b""


def test_it_refuses_an_event_without_end() -> None:
    splitter = sse.Splitter()
    with pytest.raises(sse.EventTooLarge):
        for _ in range(6):
            splitter.feed(b"x" * 1024 * 1024)
