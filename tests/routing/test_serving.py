"""What the gateway loads: the published table with its credentials, whatever is wrong with one of them."""

import logging
from typing import Any

import pytest

from routing import store
from routing.models import Provider, Route
from tests.routing.tables import table

pytestmark = pytest.mark.django_db
OPENAI = {"name": "openai", "kind": "openai"}
GROQ = {"name": "groq", "kind": "groq", "credential": {"env": "GROQ_API_KEY"}}
STUB = {"name": "stub", "kind": "stub", "credential": None}
ROUTES = [{"name": "a", "targets": [{"provider": "openai"}, {"provider": "groq"}, {"provider": "stub"}]}]
ENVIRON = {"GROQ_API_KEY": " gsk-1 \n"}


def publish(secret: str = "sk-secret") -> None:
    store.apply(table([OPENAI, GROQ, STUB], ROUTES), "ann", secrets={"openai": secret} if secret else {})


def secrets(environ: dict[str, str]) -> dict[str, str | None]:
    return {name: provider.secret for name, provider in store.load_snapshot(environ).providers.items()}


def test_it_serves_nothing_before_the_first_revision() -> None:
    Route.objects.create(name="draft")
    snapshot = store.load_snapshot({})
    assert (snapshot.revision, snapshot.find("draft")) == (0, None)
    assert store.mark() == (0, None)


def test_it_serves_the_published_table_with_credentials() -> None:
    publish()
    Route.objects.create(name="draft")
    snapshot = store.load_snapshot(ENVIRON)
    assert snapshot.revision == store.latest().number  # type: ignore[union-attr]
    assert snapshot.names() == ["a"]
    assert secrets(ENVIRON) == {"openai": "sk-secret", "groq": "gsk-1", "stub": None}


def test_it_serves_on_without_a_variable_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    publish("")
    with caplog.at_level(logging.WARNING):
        assert secrets({}) == {"openai": None, "groq": None, "stub": None}
    assert caplog.messages == ["provider groq has no credential", "provider openai has no credential"]


def test_it_serves_on_with_the_wrong_key_and_says_so(caplog: pytest.LogCaptureFixture, settings: Any) -> None:
    publish()
    settings.ENCRYPTION_KEYS = ["another passphrase altogether"]
    assert secrets(ENVIRON) == {"openai": None, "groq": "gsk-1", "stub": None}
    (message,) = caplog.messages
    assert "provider openai serves without its credential" in message
    assert "QLITE_ENCRYPTION_KEYS" in message
    assert "fernet" not in message


def test_it_serves_a_new_credential_in_either_form_once_it_is_published() -> None:
    publish()
    provider = Provider.objects.get(name="openai")
    provider.credential = "sk-new"
    provider.save()
    assert secrets(ENVIRON)["openai"] == "sk-secret"  # not before it is published
    store.publish("ann")
    assert secrets(ENVIRON)["openai"] == "sk-new"
    provider.credential, provider.credential_env = "", "OTHER_KEY"
    provider.save()
    store.publish("ann")
    assert secrets(ENVIRON | {"OTHER_KEY": "sk-other"})["openai"] == "sk-other"


def test_it_marks_new_revisions_and_new_credentials_only() -> None:
    publish()
    marks = [store.mark()]
    Route.objects.create(name="draft")
    assert store.mark() == marks[0]
    store.publish("ann")
    marks.append(store.mark())
    provider = Provider.objects.get(name="openai")
    provider.credential = "sk-new"
    provider.save()
    assert store.mark() == marks[-1]
    store.publish("ann")
    marks.append(store.mark())
    assert len(set(marks)) == 3
