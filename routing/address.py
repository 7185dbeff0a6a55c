"""Where the gateway may connect to: judged when a provider is saved and, by IP address, at every connect.

A name can change what it resolves to between the two, so passing `check_url` alone never suffices: whoever
opens the socket resolves, asks `check_ip` for each answer and connects to exactly that address.
"""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

# Cloud metadata services hand out the machine's own credentials: refused whatever a provider row says.
# AWS/GCP/Azure, ECS, EKS, Alibaba, Azure's host agent, Oracle, and AWS over IPv6.
METADATA_ADDRESSES: frozenset[IPAddress] = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
    )
)
METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOOPBACK6 = ipaddress.ip_address("::1")
# Addresses of no machine ("this network", future use), and tunnels that wrap an IPv4 address in ways nobody needs:
# IPv4-compatible, local NAT64, Teredo, 6to4.
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in ("0.0.0.0/8", "240.0.0.0/4", "::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")
)
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.IGNORECASE)
_PART = re.compile(r"0x[0-9a-f]*|[0-9]+", re.IGNORECASE)


class AddressRefused(ValueError):
    """The address may not be called; the text is a sentence for whoever entered it."""


def check_url(url: str, *, allow_private: bool, allow_insecure: bool = False) -> None:
    """Judge a provider's base address without resolving names. Raises AddressRefused.

    Plain http needs `allow_insecure`, or `allow_private` for addresses of one's own network.
    """
    parts = _split(url)
    host = (parts.hostname or "").removesuffix(".")
    address = _literal(host)
    if address is None:
        _check_name(host, allow_private=allow_private)
    else:
        check_ip(address, allow_private=allow_private)
    own_network = allow_private and (address is None or _is_private(_unwrapped(address)))
    if parts.scheme == "http" and not (allow_insecure or own_network):
        raise AddressRefused(
            f"{url!r} would send the credential unencrypted: use https, or allow plain http for this provider"
        )


def check_ip(ip: str | IPAddress, *, allow_private: bool, private_only: bool = False) -> None:
    """Judge one resolved address, just before connecting to it. Raises AddressRefused.

    `private_only` is for plain http without `allow_insecure`: then a public address is refused too.
    """
    address = _unwrapped(_parse(ip))
    if address in METADATA_ADDRESSES:
        raise AddressRefused(f"{ip} is a cloud metadata service, which is never called")
    if address != _LOOPBACK6 and (address.is_multicast or any(address in network for network in _NEVER)):
        raise AddressRefused(f"{ip} is not the address of one machine")
    if not allow_private and _is_private(address):
        raise AddressRefused(f"{ip} is a private address; it needs 'allow private' on the provider")
    if private_only and not _is_private(address):
        raise AddressRefused(f"{ip} is a public address, and plain http is not allowed for this provider")


def _split(url: str) -> SplitResult:
    if not url.isprintable() or not url.isascii() or any(letter in url for letter in " \\"):
        raise AddressRefused(f"{url!r} has blanks, backslashes, control or non-ASCII characters")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  (reading it is the check)
    except ValueError as error:
        raise AddressRefused(f"{url!r} is not a URL: {error}") from None
    if parts.scheme not in {"http", "https"}:
        raise AddressRefused(f"{url!r} is neither an https nor an http address")
    if "@" in parts.netloc:
        raise AddressRefused("an address with a user name or password in it is refused; use the credential instead")
    if parts.query or parts.fragment:
        raise AddressRefused(f"{url!r} has a query or a fragment; a base address has neither")
    if not parts.hostname:
        raise AddressRefused(f"{url!r} names no host")
    return parts


def _literal(host: str) -> IPAddress | None:
    """Return the address that `host` spells out, None for a name. Refuses disguised spellings of IPv4."""
    if ":" in host:
        return _parse(host)
    if not _PART.fullmatch(host.rsplit(".", 1)[-1]):
        return None
    try:
        return ipaddress.IPv4Address(host)
    except ValueError:
        raise AddressRefused(f"{host!r} is not a plain IPv4 address such as 10.0.0.1") from None


def _parse(ip: str | IPAddress) -> IPAddress:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        raise AddressRefused(f"{ip!r} is not an IP address") from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        raise AddressRefused(f"{ip!r} names a network interface")
    return address


def _check_name(host: str, *, allow_private: bool) -> None:
    lower = host.lower()
    if not _NAME.fullmatch(host) or len(host) > 253:
        raise AddressRefused(f"{host!r} is not a host name")
    if lower in METADATA_NAMES:
        raise AddressRefused(f"{host} is a cloud metadata service, which is never called")
    if not allow_private and (lower == "localhost" or lower.endswith(".localhost")):
        raise AddressRefused(f"{host} is this machine; it needs 'allow private' on the provider")


def _unwrapped(address: IPAddress) -> IPAddress:
    """Return the IPv4 address that an IPv4-mapped or NAT64 address stands for, any other address as it is."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_private(address: IPAddress) -> bool:
    site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return site_local or not address.is_global
