"""Whose address counts behind reverse proxies: the last one in X-Forwarded-For that no proxy of ours has.

What stands left of it, the caller may have written. Without trusted proxies the header is not looked at.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
Headers = Iterable[tuple[bytes, bytes]]


def caller(peer: str, headers: Headers, trusted: Sequence[Network]) -> str:
    """Return the caller's address, where `peer` is that of the connection."""
    last = peer
    for hop in [peer, *reversed(_forwarded(headers))]:
        address = _address(hop)
        if address is None:
            break
        last = str(address)
        if not any(address in network for network in trusted):
            break
    return last


def _forwarded(headers: Headers) -> list[str]:
    lines = [value for name, value in headers if name == b"x-forwarded-for"]
    return b",".join(lines).decode("latin-1").split(",") if lines else []


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
