"""A caller cannot choose the address that is counted."""

from ipaddress import ip_network

import pytest

from qlite_site.proxies import caller

OURS = (ip_network("127.0.0.1/32"), ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "lines", "counted"),
    [
        ("127.0.0.1", ["203.0.113.5"], "203.0.113.5"),
        ("127.0.0.1", ["203.0.113.5, 10.0.0.1"], "203.0.113.5"),
        ("127.0.0.1", ["1.1.1.1, 203.0.113.5"], "203.0.113.5"),  # the caller wrote 1.1.1.1
        ("127.0.0.1", ["1.1.1.1", "203.0.113.5"], "203.0.113.5"),
        ("127.0.0.1", ["1.1.1.1, nonsense"], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.5:4711"], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["10.0.0.9"], "10.0.0.9"),  # ours all the way
        ("fd00::1", ["2001:db8::7"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.5"], "203.0.113.5"),
        ("198.51.100.1", ["203.0.113.5"], "198.51.100.1"),  # a stranger
    ],
)
def test_it_believes_our_own_proxies_only(peer: str, lines: list[str], counted: str) -> None:
    headers = [(b"host", b"h"), *((b"x-forwarded-for", line.encode()) for line in lines)]
    assert caller(peer, headers, OURS) == counted


def test_without_proxies_of_ours_nothing_is_believed() -> None:
    assert caller("127.0.0.1", [(b"x-forwarded-for", b"203.0.113.5")], ()) == "127.0.0.1"
