"""Azure OpenAI: OpenAI's bytes, Azure's addresses and header."""

from collections.abc import Mapping

import pytest

from proxy.chat import parse
from proxy.providers import ADAPTERS
from proxy.providers.azure import address
from routing.address import AddressRefused
from routing.kinds import KINDS
from routing.values import Provider, Target

BASE = "https://name.openai.azure.com"
DATED = BASE + "?api-version=2024-10-21"
RAW = b'{"model": "asked",  "messages": [{"role": "user", "content": "Hi"}]}'


def target(base: str = BASE, secret: str | None = "azure-key") -> Target:
    return Target("asked", Provider("az", "azure-openai", base, secret=secret), "my deployment")


def headers(pairs: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_the_newer_form_names_the_deployment_in_the_body() -> None:
    out = ADAPTERS["azure-openai"].request(parse(RAW), target())
    assert out.url == BASE + "/openai/v1/chat/completions"
    assert out.body == RAW.replace(b'"asked"', b'"my deployment"')
    assert headers(out.headers) == {"content-type": "application/json", "api-key": "azure-key"}


def test_the_older_form_names_it_in_the_address() -> None:
    out = ADAPTERS["azure-openai"].request(parse(RAW), target(DATED))
    assert out.url == BASE + "/openai/deployments/my%20deployment/chat/completions?api-version=2024-10-21"


@pytest.mark.parametrize("base", [BASE, BASE + "/", BASE + "/openai", BASE + "/openai/v1", BASE + "/openai/v1/"])
def test_the_address_may_be_written_as_azure_shows_it(base: str) -> None:
    assert address(target(base).provider, "embeddings", "m") == BASE + "/openai/v1/embeddings"


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("embeddings", "/openai/deployments/my%20deployment/embeddings"),
        ("completions", "/openai/deployments/my%20deployment/completions"),
        ("responses", "/openai/responses"),
    ],
)
def test_other_operations_have_their_places(operation: str, path: str) -> None:
    out = ADAPTERS["azure-openai"].native(RAW, {"model": "asked"}, target(DATED), operation=operation, stream=False)
    assert out.url == f"{BASE}{path}?api-version=2024-10-21"


def test_a_deployments_name_never_leaves_its_place() -> None:
    assert "/../" not in address(target(DATED).provider, "embeddings", "../../x?y#z")
    assert address(target(DATED).provider, "embeddings", "a/b?c").endswith(
        "/a%2Fb%3Fc/embeddings?api-version=2024-10-21"
    )


def test_without_a_credential_none_is_sent() -> None:
    out = ADAPTERS["azure-openai"].request(parse(RAW), target(secret=None))
    assert headers(out.headers) == {"content-type": "application/json"}


def test_only_an_api_version_may_stand_in_its_address() -> None:
    check = KINDS["azure-openai"].check_url
    check(DATED, allow_private=False, allow_insecure=False)
    check(BASE, allow_private=False, allow_insecure=False)
    for base in (BASE + "?x=y", DATED + "&x=y", DATED + "#f", "http://" + DATED[8:], BASE + "?api-version="):
        with pytest.raises(AddressRefused):
            check(base, allow_private=False, allow_insecure=False)
    with pytest.raises(AddressRefused):
        KINDS["openai"].check_url(DATED, allow_private=False, allow_insecure=False)
