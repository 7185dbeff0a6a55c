"""The first start: what is made, once, and what of the environment it takes up."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.exceptions import ImproperlyConfigured

from accounts.keys import well_formed
from accounts.models import ApiKey, Price, Team
from loadtest.bench.rig import ROOT, Home, qlite
from qlite_site.bootstrap import first_start, providers_in
from routing import store as routes
from routing.models import Provider
from tests.gateway.test_budgets import database_of_ours, postgres

EVERYTHING = {
    "OPENAI_API_KEY": "sk-o",
    "ANTHROPIC_API_KEY": "sk-a",
    "GEMINI_API_KEY": "g",
    "GROQ_API_KEY": "gsk",
    "OLLAMA_BASE_URL": "http://127.0.0.1:11434",
    "OPENAI_COMPAT_BASE_URL": "http://10.0.0.5:8000/v1/",
    "QLITE_ADMIN_PASSWORD": "a password of ours",
}


@pytest.mark.django_db
def test_it_makes_what_a_newcomer_needs() -> None:
    made = first_start({})
    assert well_formed(made.key)
    assert authenticate(username="admin", password=made.password) is not None
    assert ApiKey.objects.get().team == Team.objects.get(name="demo")
    assert Price.objects.exists()
    table = routes.load_snapshot({})
    assert {route.name for route in table.routes} == {"stub", "stub/*"}
    match = table.find("stub/slow")
    assert match is not None
    assert match.targets[0].model == "stub/slow"


@pytest.mark.django_db
def test_it_takes_up_the_providers_of_the_environment() -> None:
    made = first_start(EVERYTHING)
    assert made.password == ""  # a password that was given is not shown
    assert made.providers == ("openai", "anthropic", "gemini", "groq", "ollama", "compat")
    table = routes.load_snapshot(EVERYTHING)
    asked = {
        "gpt-4o-mini": ("openai", "gpt-4o-mini", "sk-o"),
        "claude-sonnet-4-5": ("anthropic", "claude-sonnet-4-5", "sk-a"),
        "gemini-2.5-flash": ("gemini", "gemini-2.5-flash", "g"),
        "groq/openai/gpt-oss-120b": ("groq", "openai/gpt-oss-120b", "gsk"),
        "ollama/llama3": ("ollama", "llama3", None),
        "compat/any": ("compat", "any", None),
        "openai/gpt-5": ("openai", "gpt-5", "sk-o"),
    }
    for model, (provider, upstream, secret) in asked.items():
        match = table.find(model)
        assert match is not None, model
        target = match.targets[0]
        assert (target.provider.name, target.model, target.provider.secret) == (provider, upstream, secret)
    assert table.providers["ollama"].free
    assert table.providers["ollama"].base_url == "http://127.0.0.1:11434/v1"
    assert not any("sk-" in str(row) for row in Provider.objects.values())  # only the variables' names are kept


@pytest.mark.django_db
def test_a_second_start_makes_nothing_and_shows_nothing() -> None:
    first_start({})
    again = first_start(EVERYTHING)
    assert (again.key, again.password, again.providers) == ("", "", ())
    assert get_user_model().objects.count() == 1


def test_an_empty_environment_has_no_providers() -> None:
    assert providers_in({"OPENAI_API_KEY": ""}) == []


@pytest.mark.django_db
def test_an_address_of_ones_own_may_be_given_for_every_provider() -> None:
    first_start({"OPENAI_API_KEY": "sk-o", "OPENAI_BASE_URL": "http://127.0.0.1:9999/v1", "GROQ_API_KEY": "gsk"})
    table = routes.load_snapshot({"OPENAI_API_KEY": "sk-o"})
    assert table.providers["openai"].base_url == "http://127.0.0.1:9999/v1"
    assert table.providers["openai"].allow_private
    assert not table.providers["groq"].allow_private


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OLLAMA_BASE_URL", "127.0.0.1:11434"),
        ("OPENAI_COMPAT_BASE_URL", "http://169.254.169.254/v1"),
        ("OPENAI_BASE_URL", "http://api.example.com@10.0.0.1"),
    ],
)
def test_a_bad_address_is_named_and_nothing_is_made(name: str, value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"^{name}: "):
        first_start({"OPENAI_API_KEY": "sk-o", name: value})
    assert not get_user_model().objects.exists()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[postgres, pytest.mark.postgres])])
def homes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Home]]:
    """Three processes on one data folder, or three hosts on one PostgreSQL."""
    if request.param == "sqlite":
        yield [Home(tmp_path, 1)] * 3
        return
    with database_of_ours() as database:
        yield [Home(tmp_path / str(number), 1, database=database) for number in range(3)]


def test_one_of_several_that_start_at_once_makes_it_all_and_the_others_wait(homes: list[Home]) -> None:
    running = [
        subprocess.Popen([*qlite(), "setup"], cwd=ROOT, env=home.environment, stdout=subprocess.PIPE, text=True)
        for home in homes
    ]
    said = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert sum("This is the first start" in each for each in said) == 1
    assert sum("Everything is set up" in each for each in said) == 2
