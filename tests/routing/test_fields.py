"""Credentials at rest: sealed in the row, opened only where they are read."""

import json
from typing import Any

import pytest
from django.core import serializers
from django.db import connection
from django.forms import modelform_factory

from routing.fields import PREFIX, Sealed, SecretUnreadable
from routing.models import Provider
from routing.store import check_credentials, rotate_credentials

pytestmark = pytest.mark.django_db
SECRET = "sk-proj-abcdefghijkl"
FIRST, SECOND = "first passphrase of all", "second passphrase of all"


@pytest.fixture(autouse=True)
def keys(settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [FIRST]


def stored(name: str = "openai", credential: str = SECRET) -> Provider:
    Provider.objects.create(name=name, kind="openai", credential=credential)
    return Provider.objects.get(name=name)


def column() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT credential FROM routing_provider")
        return str(cursor.fetchone()[0])


def test_it_stores_what_can_be_read_back_and_nothing_else() -> None:
    provider = stored()
    assert provider.credential == SECRET
    assert provider.last4 == "ijkl"
    assert column().startswith(PREFIX)
    assert SECRET not in column()


def test_it_stores_nothing_for_nothing() -> None:
    provider = stored(credential="")
    assert provider.credential == column() == provider.last4 == ""
    assert not provider.has_stored_credential
    assert Provider.objects.filter(credential="").count() == 1


def test_it_hints_at_no_short_secret() -> None:
    assert stored(credential="hunter2").last4 == ""


def test_it_shows_the_secret_nowhere() -> None:
    provider = stored()
    fresh = Provider(name="x", kind="openai", credential=SECRET)
    sealed = provider.__dict__["credential"]
    for shown in (vars(provider), vars(fresh), sealed, list(Provider.objects.values()), f"{sealed}"):
        assert SECRET not in repr(shown)
        assert PREFIX not in repr(shown)


def test_it_reads_with_an_older_key_and_writes_with_the_first(settings: Any) -> None:
    provider = stored()
    settings.ENCRYPTION_KEYS = [SECOND, FIRST]
    assert Provider.objects.get().credential == SECRET
    provider.credential = "sk-another-secret"
    provider.save()
    settings.ENCRYPTION_KEYS = [SECOND]
    assert Provider.objects.get().credential == "sk-another-secret"


def test_it_rotates_every_credential_to_the_first_key(settings: Any) -> None:
    stored(), stored("groq"), stored("local", "")
    settings.ENCRYPTION_KEYS = [SECOND, FIRST]
    assert rotate_credentials() == 2
    settings.ENCRYPTION_KEYS = [SECOND]
    assert check_credentials() == []
    assert Provider.objects.get(name="groq").credential == SECRET


def test_it_fails_loudly_with_the_wrong_key_and_names_the_field(settings: Any) -> None:
    stored()
    before = column()
    settings.ENCRYPTION_KEYS = [SECOND]
    provider = Provider.objects.get()
    with pytest.raises(SecretUnreadable, match="provider credential cannot be decrypted") as failure:
        _ = provider.credential
    assert before not in str(failure.value)
    assert check_credentials() == [f"provider openai: {failure.value}"]
    with pytest.raises(SecretUnreadable):
        rotate_credentials()


def test_it_leaves_an_unreadable_credential_as_it_is_when_other_fields_change(settings: Any) -> None:
    stored()
    before = column()
    settings.ENCRYPTION_KEYS = [SECOND]
    provider = Provider.objects.get()
    provider.note = "look at this"
    provider.full_clean()
    provider.save()
    assert column() == before


def test_it_replaces_an_unreadable_credential(settings: Any) -> None:
    stored()
    settings.ENCRYPTION_KEYS = [SECOND]
    provider = Provider.objects.get()
    provider.credential = "sk-another-secret"
    provider.full_clean()
    provider.save()
    assert Provider.objects.get().credential == "sk-another-secret"


def test_it_detects_a_damaged_value() -> None:
    stored()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE routing_provider SET credential = 'sk-in-the-clear'")
    with pytest.raises(SecretUnreadable) as failure:
        _ = Provider.objects.get().credential
    assert "sk-in-the-clear" not in str(failure.value)


def test_it_remembers_when_the_credential_changed() -> None:
    provider = stored()
    first = provider.credential_changed_at
    assert first is not None
    provider.note = "other"
    provider.credential = SECRET
    provider.save()
    assert Provider.objects.get().credential_changed_at == first
    provider.credential = "sk-another-secret"
    provider.save(update_fields=["credential"])
    second = Provider.objects.get().credential_changed_at
    assert second is not None
    assert second > first
    provider.credential, provider.credential_env = "", "SOME_KEY"
    provider.save()
    third = Provider.objects.get().credential_changed_at
    assert third is not None
    assert third > second


def test_it_survives_reloading_and_deferring() -> None:
    provider = Provider.objects.defer("credential").get(pk=stored().pk)
    changed = provider.credential_changed_at
    assert provider.credential == SECRET
    provider.refresh_from_db()
    assert provider.credential == SECRET
    provider.save()
    assert Provider.objects.get().credential_changed_at == changed


def test_it_encrypts_bulk_updates_too() -> None:
    stored()
    Provider.objects.update(credential="sk-another-secret")
    assert "another" not in column()
    assert Provider.objects.get().credential == "sk-another-secret"


def test_it_dumps_sealed_text_that_can_be_loaded_again() -> None:
    stored()
    dumped = serializers.serialize("json", Provider.objects.all())
    assert SECRET not in dumped
    assert json.loads(dumped)[0]["fields"]["credential"] == column()
    Provider.objects.all().delete()
    for each in serializers.deserialize("json", dumped):
        each.save()
    assert Provider.objects.get().credential == SECRET


def test_it_is_write_only_in_a_form_and_keeps_what_is_stored() -> None:
    provider = stored()
    form_class = modelform_factory(Provider, fields=["note", "credential"])
    assert SECRET not in str(form_class(instance=provider))
    assert PREFIX not in str(form_class(instance=provider))
    kept = form_class({"note": "n", "credential": ""}, instance=provider)
    assert kept.is_valid(), kept.errors
    kept.save()
    assert Provider.objects.get().credential == SECRET
    changed = form_class({"note": "n", "credential": "sk-another-secret"}, instance=Provider.objects.get())
    assert changed.is_valid(), changed.errors
    changed.save()
    assert Provider.objects.get().credential == "sk-another-secret"


def test_it_hands_out_sealed_values_in_lists() -> None:
    stored()
    (sealed,) = Provider.objects.values_list("credential", flat=True)
    assert isinstance(sealed, Sealed)
    assert sealed.open() == SECRET
