"""The handshake that goes to a provider."""

import pytest

from proxy.realtime import handshake
from routing.values import Provider, Target


def target(kind: str, base: str, model: str = "gpt-realtime") -> Target:
    return Target("r", Provider("p", kind, base, secret="s3cret"), model)


@pytest.mark.parametrize(
    ("kind", "base", "query", "url"),
    [
        ("openai", "https://api.openai.com/v1", "", "wss://api.openai.com/v1/realtime?model=gpt-realtime"),
        ("openai", "https://api.openai.com/v1/", "model=x&a=1&b", "wss://api.openai.com/v1/realtime?model=gpt-realtime&a=1&b"),
        ("openai-compatible", "http://127.0.0.1:9/v1", "", "ws://127.0.0.1:9/v1/realtime?model=gpt-realtime"),
        ("azure-openai", "https://me.azure.com", "", "wss://me.azure.com/openai/v1/realtime?model=gpt-realtime"),
        (
            "azure-openai",
            "https://me.azure.com?api-version=2024-10-01",
            "api-version=9&deployment=theirs",
            "wss://me.azure.com/openai/realtime?api-version=2024-10-01&deployment=gpt-realtime",
        ),
        ("openai", "https://h/v1", "key=k&API_KEY=k&%6Bey=k&Model=y", "wss://h/v1/realtime?model=gpt-realtime"),
    ],
)  # fmt: skip
def test_the_address_is_the_providers(kind: str, base: str, query: str, url: str) -> None:
    assert handshake.outgoing(target(kind, base), query, ()).url == url


def test_a_model_is_escaped() -> None:
    assert handshake.outgoing(target("openai", "https://h/v1", "a b&c"), "", ()).url.endswith("?model=a%20b%26c")


@pytest.mark.parametrize(
    ("kind", "header"), [("openai", ("authorization", "Bearer s3cret")), ("azure-openai", ("api-key", "s3cret"))]
)
def test_the_credential_is_in_a_header(kind: str, header: tuple[str, str]) -> None:
    out = handshake.outgoing(target(kind, "https://h"), "", (("openai-beta", "x"),))
    assert out.headers == (("openai-beta", "x"), header)


def test_what_is_private_among_the_subprotocols_stays_here() -> None:
    offered = handshake.protocols(b"realtime, openai-insecure-api-key.sk-1 ,openai-organization.o,openai-project.p,,x")
    assert handshake.key_in(offered) == "sk-1"
    assert handshake.public(offered) == ("realtime", "x")
    assert handshake.key_in(("realtime",)) == ""


def test_the_model_is_read_from_the_query() -> None:
    assert handshake.model_in("a=b&model=gpt%2F4+x") == "gpt/4 x"
    assert handshake.model_in("") == handshake.model_in("models=x") == ""
