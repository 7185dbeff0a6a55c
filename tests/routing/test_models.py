"""The rows: what is refused, in which words, and that revisions stand."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db.models import ProtectedError

from routing.models import Provider, Revision, RevisionImmutable, Route, Target

pytestmark = pytest.mark.django_db


def complaints(row: Any) -> dict[str, list[str]]:
    try:
        row.full_clean()
    except ValidationError as error:
        return error.message_dict
    return {}


def provider(**fields: Any) -> Provider:
    return Provider(**{"name": "local", "kind": "openai-compatible", "base_url": "https://llm.example/v1"} | fields)


def test_it_fills_in_the_usual_address_of_a_kind() -> None:
    row = provider(kind="groq", base_url="")
    assert complaints(row) == {}
    assert row.base_url == "https://api.groq.com/openai/v1"


def test_it_drops_the_slash_at_the_end_of_an_address() -> None:
    row = provider(base_url="https://llm.example/v1/")
    assert complaints(row) == {}
    assert row.base_url == "https://llm.example/v1"


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"name": "a/b"}, "name", "no provider name"),
        ({"name": "-a"}, "name", "no provider name"),
        ({"name": "a\n"}, "name", "no provider name"),
        ({"kind": "carrier-pigeon"}, "kind", "not a valid choice"),
        ({"base_url": ""}, "base_url", "needs the address"),
        ({"kind": "stub"}, "base_url", "takes no address"),
        ({"base_url": "http://127.0.0.1"}, "base_url", "private address"),
        ({"base_url": "http://llm.example"}, "base_url", "unencrypted"),
        ({"base_url": "http://169.254.169.254", "allow_private": True}, "base_url", "metadata"),
        ({"credential_env": "$KEY"}, "credential_env", "name of an environment variable"),
        ({"credential_env": "SECRET_KEY"}, "credential_env", "belongs to qlite itself"),
        ({"credential_env": "QLITE_ENCRYPTION_KEYS"}, "credential_env", "belongs to qlite itself"),
        ({"credential_env": "SOME_KEY", "credential": "sk-1"}, "credential_env", "not both"),
        ({"forward_authorization": True, "credential": "sk-1"}, "forward_authorization", "credential of its own"),
        (
            {"forward_authorization": True, "credential_env": "SOME_KEY"},
            "forward_authorization",
            "credential of its own",
        ),
        ({"forward_authorization": True, "kind": "groq"}, "forward_authorization", "OpenAI compatible"),
        ({"kind": "openai", "base_url": "https://x.example?api-version=1"}, "base_url", "query"),
        ({"connect_timeout": 0}, "connect_timeout", "seconds above 0"),
        ({"idle_timeout": float("inf")}, "idle_timeout", "seconds above 0"),
        ({"total_timeout": float("nan")}, "total_timeout", "seconds above 0"),
    ],
)
def test_it_refuses_a_provider_in_clear_words(fields: dict[str, Any], field: str, words: str) -> None:
    said = complaints(provider(**fields))
    assert list(said) == [field]
    assert words in said[field][0]


def test_it_accepts_an_address_of_azure_with_its_version() -> None:
    azure = provider(kind="azure-openai", base_url="https://name.openai.azure.com?api-version=2024-10-21")
    assert complaints(azure) == {}
    assert complaints(provider(forward_authorization=True)) == {}


def test_it_accepts_an_unlisted_provider_on_the_own_network() -> None:
    assert complaints(provider(base_url="http://10.0.0.5:8000/v1", allow_private=True)) == {}
    assert complaints(provider(kind="stub", base_url="")) == {}


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-4*", "*", "claude/*-latest", "meta-llama/Llama-3.1:free@eu"])
def test_it_accepts_model_names_and_patterns(name: str) -> None:
    assert complaints(Route(name=name)) == {}


@pytest.mark.parametrize("name", ["", "a b", "gpt*4*", "a\tb", "\u200b", "x" * 256])
def test_it_refuses_what_is_no_model_name(name: str) -> None:
    assert list(complaints(Route(name=name))) == ["name"]


def test_it_knows_no_two_routes_of_one_name_for_the_same_callers() -> None:
    Route.objects.create(name="gpt-4")
    assert "already exists" in complaints(Route(name="gpt-4"))["__all__"][0]
    Route(name="gpt-4", team="red").full_clean()


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"team": "the reds"}, "team", "is no team"),
        ({"alias_of": "gpt-4"}, "alias_of", "an alias of itself"),
        ({"alias_of": "x*"}, "alias_of", "is not a pattern"),
        ({"sticky": "Cookie"}, "sticky", "neither 'user' nor"),
        ({"retries": 9}, "retries", "outside 0 to 5"),
        ({"strategy": "luck"}, "strategy", "not a valid choice"),
    ],
)
def test_it_refuses_a_route_in_clear_words(fields: dict[str, Any], field: str, words: str) -> None:
    said = complaints(Route(name="gpt-4", **fields))
    assert list(said) == [field]
    assert words in said[field][0]


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"model": "*"}, "model", "is not a pattern"),
        ({"model": "a b"}, "model", "blanks"),
        ({"tier": 100}, "tier", "outside 0 to 99"),
        ({"tier": -1}, "tier", ""),
        ({"weight": -1}, "weight", ""),
        ({"weight": 1_000_001}, "weight", "outside 0 to 1000000"),
        ({"tools": "yes"}, "tools", "not a valid choice"),
        ({"tag": "gold"}, "tag", "write name=value"),
        ({"share": 101}, "share", "outside 0 to 100 percent"),
        ({"share": 5, "shadow": 5}, "shadow", "not both"),
        ({"idle_timeout": 0}, "idle_timeout", "idle timeout 0.0 is not a number of seconds"),
    ],
)
def test_it_refuses_a_target_in_clear_words(fields: dict[str, Any], field: str, words: str) -> None:
    row = provider()
    row.save()
    said = complaints(Target(route=Route.objects.create(name="gpt-4"), provider=row, **fields))
    assert list(said) == [field]
    assert words in said[field][0]


def test_it_judges_a_target_by_the_route_it_is_added_with() -> None:
    row = provider()
    row.save()
    target = Target(route=Route(name="gpt*"), provider=row, model="*")
    target.clean()
    Target(provider=row, model="*").clean()  # no route yet: that is complained about elsewhere


def test_it_keeps_a_provider_that_is_in_use() -> None:
    row = provider()
    row.save()
    route = Route.objects.create(name="gpt-4")
    Target.objects.create(route=route, provider=row)
    with pytest.raises(ProtectedError):
        row.delete()
    route.delete()
    assert Target.objects.count() == 0


def test_it_never_changes_a_revision() -> None:
    revision = Revision.objects.create(document={}, author="ann")
    revision.note = "rewritten"
    for change in (
        revision.save,
        revision.delete,
        Revision.objects.all().delete,
        lambda: Revision.objects.update(note="rewritten"),
    ):
        with pytest.raises(RevisionImmutable):
            change()
    assert Revision.objects.get().note == ""
