"""What must be so before a process may serve."""

from typing import Any

import pytest
from django.db.migrations.recorder import MigrationRecorder

from qlite_site.fitness import problems
from routing.models import Provider


@pytest.mark.django_db
def test_a_database_that_is_up_to_date_is_fit() -> None:
    assert list(problems()) == []


@pytest.mark.django_db
def test_it_names_the_migrations_that_are_missing() -> None:
    MigrationRecorder.Migration.objects.filter(app="accounts", name="0001_initial").delete()
    assert list(problems()) == ["the database lacks accounts.0001_initial: run `qlite setup`"]


@pytest.mark.django_db
def test_it_warns_of_a_database_that_a_newer_version_has_set_up(caplog: pytest.LogCaptureFixture) -> None:
    MigrationRecorder.Migration.objects.create(app="accounts", name="9999_future")
    assert list(problems()) == []
    assert "is of a newer qlite" in caplog.text and "accounts.9999_future" in caplog.text


@pytest.mark.django_db
def test_it_names_the_provider_whose_credential_no_key_opens(settings: Any) -> None:
    Provider.objects.create(name="x", kind="openai", base_url="https://api.openai.com/v1", credential="sk-real")
    assert list(problems()) == []
    settings.ENCRYPTION_KEYS = ["another long passphrase"]
    (said,) = problems()
    assert "provider x" in said
    assert "sk-real" not in said
