"""Addresses: what is refused at save and at connect (fault S-2 of the catalogue, and its relatives)."""

import pytest

from routing.address import AddressRefused, check_ip, check_url

NEVER = [
    "http://169.254.169.254",
    "http://169.254.169.254/latest/meta-data",
    "https://[::ffff:169.254.169.254]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[fd00:ec2::254]/",
    "http://metadata.google.internal/",
    "http://METADATA.google.internal./",
    "http://100.100.100.200/",
    "http://0.0.0.0:8000",
    "http://[::]:8000",
    "http://224.0.0.1",
    "https://255.255.255.255",
    "https://[ff02::1]",
    "http://[::127.0.0.1]",
    "https://[2002:7f00:1::]",
    "https://[64:ff9b:1::a9fe:a9fe]",
    "https://[2001:0:7f00:1::]",
    "http://0x7f.1",
    "http://0x7f000001",
    "http://2130706433",
    "http://127.1",
    "http://0177.0.0.1",
    "http://127.0.0.01",
    "http://127.0.0.1.:80x",
    "http://1.2.3.4.5",
    "http://user:pw@h",
    "https://user@llm.example",
    "https://@llm.example",
    "file:///etc/passwd",
    "gopher://llm.example",
    "ftp://llm.example",
    "//llm.example",
    "llm.example/v1",
    "localhost:8080",
    "",
    "https://",
    "https:///v1",
    "https://llm.example:99999",
    "https://llm.example:http",
    "https://llm.example\\@evil.example",
    "https://llm.example/v1?key=1",
    "https://llm.example/v1#top",
    "https://llm example",
    "https://llm.example\n/v1",
    "\thttps://llm.example",
    "https://llm..example",
    "https://-llm.example",
    "https://%6c%6c%6d.example",
    "https://\uff11\uff12\uff17.0.0.1",
    "https://[fe80::1%25eth0]/",
    "https://[::1",
    "https://[llm.example]",
]
PRIVATE = [
    "http://127.0.0.1:11434/v1",
    "https://127.8.8.8",
    "http://localhost:11434/v1",
    "https://LOCALHOST",
    "http://localhost.:80",
    "http://ollama.localhost",
    "http://[::1]:8000/v1",
    "http://[::ffff:127.0.0.1]",
    "http://[::ffff:7f00:1]",
    "https://[64:ff9b::7f00:1]",
    "http://10.1.2.3",
    "http://172.16.0.1",
    "http://192.168.1.1",
    "http://169.254.1.1",
    "http://100.64.0.1",
    "https://[fd12::1]",
    "https://[fe80::1]",
    "https://[fec0::1]",
]
PUBLIC = [
    "https://api.openai.com/v1",
    "https://api.openai.com./v1",
    "https://8.8.8.8",
    "https://[2606:4700::1111]:8443/",
]


@pytest.mark.parametrize("url", NEVER)
def test_it_refuses_these_whatever_the_provider_allows(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(url, allow_private=True, allow_insecure=True)


@pytest.mark.parametrize("url", PRIVATE)
def test_it_calls_the_own_network_only_where_that_is_allowed(url: str) -> None:
    check_url(url, allow_private=True)
    with pytest.raises(AddressRefused):
        check_url(url, allow_private=False, allow_insecure=True)


@pytest.mark.parametrize("url", PUBLIC)
def test_it_accepts_public_https(url: str) -> None:
    check_url(url, allow_private=False)


@pytest.mark.parametrize("url", ["http://api.openai.com/v1", "http://8.8.8.8", "HTTP://8.8.8.8"])
def test_it_wants_a_word_for_plain_http(url: str) -> None:
    with pytest.raises(AddressRefused, match="unencrypted"):
        check_url(url, allow_private=False)
    check_url(url, allow_private=False, allow_insecure=True)


def test_it_does_not_take_a_public_address_for_the_own_network() -> None:
    with pytest.raises(AddressRefused, match="unencrypted"):
        check_url("http://8.8.8.8", allow_private=True)


def test_it_trusts_a_name_over_http_until_it_is_resolved() -> None:
    check_url("http://ollama:11434/v1", allow_private=True)
    check_ip("172.18.0.2", allow_private=True, private_only=True)
    for public in ("8.8.8.8", "::ffff:8.8.8.8", "2606:4700::1111"):
        with pytest.raises(AddressRefused, match="plain http"):
            check_ip(public, allow_private=True, private_only=True)


@pytest.mark.parametrize(
    "ip", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "100.64.0.1", "fd00::1", "2001:db8::1"]
)
def test_it_refuses_at_connect_what_a_name_flipped_to(ip: str) -> None:
    check_ip(ip, allow_private=True)
    with pytest.raises(AddressRefused, match="private"):
        check_ip(ip, allow_private=False)


@pytest.mark.parametrize(
    "ip", ["169.254.169.254", "::ffff:169.254.169.254", "0.0.0.0", "::", "240.0.0.1", "no address"]
)
def test_it_never_connects_to_these(ip: str) -> None:
    with pytest.raises(AddressRefused):
        check_ip(ip, allow_private=True)


@pytest.mark.parametrize("ip", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_it_connects_to_public_addresses(ip: str) -> None:
    check_ip(ip, allow_private=False)


def test_it_keeps_the_password_out_of_the_refusal() -> None:
    with pytest.raises(AddressRefused) as refusal:
        check_url("https://ann:hunter2@llm.example", allow_private=False)
    assert "hunter2" not in str(refusal.value)
