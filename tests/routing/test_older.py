"""The older form of a routing file."""

from typing import Any

import pytest

from routing import exchange
from routing.document import DocumentError

OLDER = """
providers:
  - name: openai
    type: openai
    api_key: ${OPENAI_API_KEY}
    models: [gpt-4o, gpt-4o-mini]
  - name: box
    type: ollama
    base_url: http://localhost:11434/v1
    api_key: none-needed
    models: [llama3, {name: gpt-4o}, "local/*"]
"""


def read(text: str) -> exchange.Reading:
    return exchange.read(text, {"OPENAI_API_KEY": "sk-secret"})


def routes(reading: exchange.Reading) -> dict[str, list[dict[str, Any]]]:
    return {route["name"]: route["targets"] for route in reading.document["routes"]}


def test_it_makes_each_model_a_route_with_one_target() -> None:
    found = routes(read(OLDER))
    assert sorted(found) == ["gpt-4o", "gpt-4o-mini", "llama3", "local/*"]
    assert [(each["provider"], each["model"]) for each in found["llama3"]] == [("box", "")]


def test_it_tries_providers_of_the_same_model_in_their_order() -> None:
    assert [(each["provider"], each["tier"]) for each in routes(read(OLDER))["gpt-4o"]] == [("openai", 0), ("box", 1)]


def test_it_reads_providers_and_their_credentials() -> None:
    reading = read(OLDER)
    box, openai = reading.document["providers"]
    assert (openai["kind"], openai["credential"]) == ("openai", {"env": "OPENAI_API_KEY"})
    assert (box["kind"], box["base_url"]) == ("openai-compatible", "http://localhost:11434/v1")
    assert dict(reading.secrets) == {"box": "none-needed"}


@pytest.mark.parametrize(
    ("named", "kind"),
    [
        ("llama_cpp", "openai-compatible"),
        ("LM Studio", "openai-compatible"),
        ("openai_compatible", "openai-compatible"),
        ("azure_openai", "azure-openai"),
        ("google", "gemini"),
        ("Groq", "groq"),
    ],
)
def test_it_knows_a_type_however_it_is_spelt(named: str, kind: str) -> None:
    text = f"providers: [{{name: one, type: {named}, base_url: 'https://llm.example.com', models: [m]}}]"
    (provider,) = read(text).document["providers"]
    assert provider["kind"] == kind


@pytest.mark.parametrize(
    ("given", "called"),
    [
        ("", "http://localhost:11434/v1"),
        ("base_url: http://10.0.0.5:11434/,", "http://10.0.0.5:11434/v1"),
        ("base_url: 'http://10.0.0.5:11434/v1',", "http://10.0.0.5:11434/v1"),
        ("base_url: 'http://10.0.0.5/ollama/v1',", "http://10.0.0.5/ollama/v1"),
    ],
)
def test_it_finds_openais_dialect_at_ollama_which_is_free(given: str, called: str) -> None:
    (provider,) = read(f"providers: [{{name: ollama, {given} models: [llama3]}}]").document["providers"]
    assert (provider["base_url"], provider["free"]) == (called, True)


def test_it_takes_the_name_for_the_type_where_none_is_given() -> None:
    assert read("providers: [{name: groq, models: [a]}]").document["providers"][0]["kind"] == "groq"
    assert read("providers: [{name: x, type: OpenAI_Compatible, base_url: 'https://a.example'}]").document["providers"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("providers: [{name: a, type: smoke-signal, models: [x]}]", "'smoke-signal' is none of the kinds"),
        ("providers: [{name: a, type: openai, modles: [x]}]", "not known: modles"),
        ("{providers: [{name: a, type: openai}], settings: {}}", "not known: settings"),
        ("providers: [{name: a, type: openai, models: [5]}]", "5, which is no model name"),
        ("providers: [{name: a, type: openai, models: x}]", "models is not a list"),
        ("providers: [{type: openai, models: [x]}]", "'' is no provider name"),
        ("providers: [{name: a, type: openai}, b]", "not a mapping"),
    ],
)
def test_it_refuses_in_clear_words(text: str, words: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        read(text)
    assert words in str(refusal.value)
