"""Stored credentials as a whole: can all be read, and are all sealed with the first key?"""

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from routing.fields import Sealed, SecretUnreadable
from routing.models import Provider


def check_credentials() -> list[str]:
    """Return a sentence for each stored credential that no key in QLITE_ENCRYPTION_KEYS opens."""
    problems = []
    for name, sealed in _sealed(Provider.objects.all()):
        try:
            sealed.open()
        except SecretUnreadable as error:
            problems.append(f"provider {name}: {error}")
    return problems


@transaction.atomic
def rotate_credentials() -> int:
    """Seal every stored credential anew with the first key and return how many; then older keys can go.

    Raises SecretUnreadable, with nothing changed, where one cannot be read.
    """
    stored = _sealed(Provider.objects.select_for_update())
    for name, sealed in stored:
        Provider.objects.filter(name=name).update(credential=sealed.renewed())
    return len(stored)


def _sealed(providers: QuerySet[Provider]) -> list[tuple[str, Sealed]]:
    rows: Iterable[tuple[str, Any]] = providers.values_list("name", "credential")
    return [(name, sealed) for name, sealed in rows if isinstance(sealed, Sealed)]
