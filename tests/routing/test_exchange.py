"""The document as YAML, out and in, with variables and without secrets."""

import pytest
import yaml
from hypothesis import given

from routing import exchange
from routing.document import Document, DocumentError
from tests.routing.tables import table, tables

NO_VARIABLES: dict[str, str] = {}


def provider(credential: str, **environ: str) -> exchange.Reading:
    return exchange.read(f"providers: [{{name: a, kind: openai, credential: {credential}}}]", environ)


def credential(reading: exchange.Reading) -> object:
    return reading.document["providers"][0]["credential"]


@given(tables())
def test_it_reads_what_it_wrote(found: Document) -> None:
    reading = exchange.read(exchange.write(found), {"SOME_KEY": "sk-1"})
    assert reading.document == found
    assert (dict(reading.secrets), reading.notices) == ({}, ())


def test_it_writes_short_text() -> None:
    text = exchange.write(table([{"name": "stub", "kind": "stub", "credential": None}], [{"name": "a"}]))
    assert yaml.safe_load(text) == {
        "version": 1,
        "providers": [{"name": "stub", "kind": "stub", "credential": None}],
        "routes": [{"name": "a", "targets": []}],
    }


def test_it_writes_references_for_credentials() -> None:
    text = exchange.write(
        table(
            [
                {"name": "a", "kind": "stub", "credential": {"env": "A_KEY"}},
                {"name": "b", "kind": "stub", "credential": {"stored": True}},
            ],
            [],
        )
    )
    assert "credential: ${A_KEY}\n" in text
    assert "credential: stored\n" in text


def test_it_keeps_a_plain_dollar_brace() -> None:
    found = table(routes=[{"name": "a", "description": "costs ${5} $${x}"}])
    assert exchange.read(exchange.write(found), NO_VARIABLES).document == found


def test_it_puts_variables_in() -> None:
    fields = "name: '${NAME}', kind: openai, base_url: 'https://${HOST:-llm.example}/v1', enabled: '${ON:-off}'"
    text = f"providers: [{{{fields}}}]"
    (entry,) = exchange.read(text, {"NAME": "main"}).document["providers"]
    assert (entry["name"], entry["base_url"], entry["enabled"]) == ("main", "https://llm.example/v1", False)


def test_it_cannot_be_tricked_by_what_a_variable_holds() -> None:
    reading = exchange.read("routes: [{name: a, description: '${TEXT}'}]", {"TEXT": "${OTHER}\nname: b"})
    assert reading.document["routes"][0]["description"] == "${OTHER}\nname: b"


def test_it_reads_variables_as_a_shell_does() -> None:
    values = {"EMPTY": "", "FULL": "x"}
    assert exchange.substitute("[${EMPTY}][${EMPTY:-d}][${GONE:-}][${FULL:-d}]", values) == "[][d][][x]"


@pytest.mark.parametrize("value", ["${MISSING}", "x-${MISSING}-y"])
def test_it_names_a_missing_variable(value: str) -> None:
    with pytest.raises(DocumentError, match="environment variable MISSING is not set"):
        exchange.read(f"routes: [{{name: a, description: '{value}'}}]", NO_VARIABLES)


@pytest.mark.parametrize("name", ["SECRET_KEY", "QLITE_ENCRYPTION_KEYS", "DATABASE_URL", "NOT A NAME", ""])
def test_it_never_reads_our_own_secrets(name: str) -> None:
    for text in (
        f"routes: [{{name: a, description: '${{{name}}}'}}]",
        f"providers: [{{name: a, kind: stub, credential: '${{{name}}}'}}]",
    ):
        with pytest.raises(DocumentError):
            exchange.read(text, {name: "hunter2"})


def test_it_keeps_a_credential_as_a_reference() -> None:
    reading = provider("'${A_KEY}'", A_KEY="sk-secret")
    assert credential(reading) == {"env": "A_KEY"}
    assert (dict(reading.secrets), reading.notices) == ({}, ())


def test_it_says_when_a_credential_variable_is_not_set_here() -> None:
    reading = provider("'${A_KEY}'")
    assert credential(reading) == {"env": "A_KEY"}
    assert reading.notices == ("provider a: the environment variable A_KEY is not set here",)


def test_it_takes_the_default_of_a_credential_variable_that_is_not_set() -> None:
    assert credential(provider("'${A_KEY:-sk-other}'", A_KEY="sk-secret")) == {"env": "A_KEY"}
    assert dict(provider("'${A_KEY:-sk-other}'").secrets) == {"a": "sk-other"}
    assert credential(provider("'${A_KEY:-}'")) is None


def test_it_takes_a_literal_credential_out_of_the_document() -> None:
    for reading in (provider("sk-secret"), provider("'sk-${REST}'", REST="secret")):
        assert credential(reading) == {"stored": True}
        assert dict(reading.secrets) == {"a": "sk-secret"}
        assert "sk-secret" not in repr(reading)
        assert "sk-secret" not in exchange.write(reading.document)


def test_it_tells_keeping_from_having_none() -> None:
    assert credential(provider("stored")) == {"stored": True}
    assert credential(provider("null")) is None
    assert credential(provider("''")) is None
    assert credential(exchange.read("providers: [{name: a, kind: openai}]", NO_VARIABLES)) == {"stored": True}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a mapping"),
        ("- a", "not a mapping"),
        ("providers: [", "not YAML in line"),
        ("a: b: c", "not YAML in line 1"),
        ("routes: []\nroutes: []", "line 2: 'routes' is given twice"),
        ("routes: [{name: a, name: b}]", "'name' is given twice"),
        ("routes: &x [{name: a}]\nproviders: *x", "line 2: YAML aliases"),
        ("routes:\n- &x {name: a, targets: [*x]}", "line 2: YAML aliases"),
        ("routes: [{name: {{ NAME }}}]", "line 1: a key is not a plain word"),
        ("[" * 100_000, "line 1: this is nested deeper than 64"),
        ("x: !!python/object/apply:os.system [true]", "not YAML"),
        ("providers: {a: b}", "'providers' is not a list"),
        ("routes: [{name: a, 5: b}]", "not known: 5"),
        ("routes: [{name: a, cache_ttl: 2001-01-01}]", "not a whole number"),
        ("[" * 5000, ""),
        ("a: \x00", "not YAML in line 1: a control character"),
        ("é: [ö]\nroutes:\n- {name: '\x07'}", "not YAML in line 3: a control character"),
        ("routes: [{name: a, cache_ttl: 2026-13-45}]", "'2026-13-45' is not a whole number"),
    ],
)
def test_it_refuses_in_clear_words(text: str, words: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        exchange.read(text, NO_VARIABLES)
    assert words in str(refusal.value)


def test_a_name_that_looks_like_a_date_is_a_name() -> None:
    read = exchange.read("routes: [{name: 2024-08-06, targets: [{provider: 2026-13-45}]}]", NO_VARIABLES)
    (route,) = read.document["routes"]
    assert (route["name"], route["targets"][0]["provider"]) == ("2024-08-06", "2026-13-45")
    assert exchange.read(exchange.write(read.document), NO_VARIABLES).document == read.document


def test_it_does_not_quote_a_broken_line_since_lines_hold_secrets() -> None:
    with pytest.raises(DocumentError) as refusal:
        exchange.read("providers:\n - {name: a, credential: sk-secret: x, }}", NO_VARIABLES)
    assert "sk-secret" not in str(refusal.value)
