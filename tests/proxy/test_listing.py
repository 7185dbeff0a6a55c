"""How each kind is asked for its models, and how the answer is read."""

import json

import pytest

from proxy import listing
from routing.values import Provider


@pytest.mark.parametrize(
    ("kind", "base", "url", "header"),
    [
        ("openai", "https://a.test/v1", "https://a.test/v1/models", ("authorization", "Bearer s")),
        ("groq", "https://a.test/openai/v1/", "https://a.test/openai/v1/models", ("authorization", "Bearer s")),
        ("anthropic", "https://a.test", "https://a.test/v1/models?limit=1000", ("x-api-key", "s")),
        ("anthropic", "https://a.test/v1", "https://a.test/v1/models?limit=1000", ("x-api-key", "s")),
        ("gemini", "https://a.test", "https://a.test/v1beta/models?pageSize=1000", ("x-goog-api-key", "s")),
        ("azure-openai", "https://a.test", "https://a.test/openai/v1/models", ("api-key", "s")),
        (
            "azure-openai",
            "https://a.test?api-version=2024-10-21",
            "https://a.test/openai/models?api-version=2024-10-21",
            ("api-key", "s"),
        ),
    ],
)
def test_it_asks_each_kind_in_its_own_way(kind: str, base: str, url: str, header: tuple[str, str]) -> None:
    out = listing.request(Provider("p", kind, base, secret="s"))
    assert (out.url, header in out.headers, out.body) == (url, True, b"")


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("openai", {"data": [{"id": "b"}, {"id": "a"}, {"id": "a"}]}, ("a", "b")),
        ("openai-compatible", [{"id": "bare-list"}], ("bare-list",)),
        ("anthropic", {"data": [{"id": "claude-x", "type": "model"}], "has_more": False}, ("claude-x",)),
        (
            "gemini",
            {
                "models": [
                    {"name": "models/gem", "supportedGenerationMethods": ["generateContent"]},
                    {"name": "models/aqa", "supportedGenerationMethods": ["generateAnswer"]},
                ]
            },
            ("gem",),
        ),
        ("openai", {"data": [{"id": 7}, "x", {"id": "n" * 201}, {"id": "bad\x07"}, {}]}, ()),
        ("openai", {"data": None}, ()),
        ("openai", "text", ()),
    ],
)
def test_it_reads_names_and_leaves_out_what_it_does_not_understand(
    kind: str, body: object, expected: tuple[str, ...]
) -> None:
    assert listing.names(kind, json.dumps(body).encode()) == expected
    assert listing.names(kind, b"<html>") == ()


async def test_the_built_in_provider_needs_no_network() -> None:
    found = await listing.ask(None, Provider("stub", "stub"))  # type: ignore[arg-type]
    assert (found.status, "stub" in found.models) == (200, True)
