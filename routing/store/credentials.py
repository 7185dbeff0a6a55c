"""Stored credentials as a whole: which serve, can all be read, and are all sealed with the first key?"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.utils import timezone

from routing.document import Document, Entry
from routing.fields import Sealed, SecretUnreadable
from routing.models import LiveCredential, Provider
from routing.readers import STORED

Held = tuple[Any, str]  # sealed, or '', and the name of a variable, or ''
NOTHING: Held = ("", "")


def check_credentials() -> list[str]:
    """Return a sentence for each stored credential that no key in QLITE_ENCRYPTION_KEYS opens."""
    rows = drafted()
    only_live = {name: each for name, each in held().items() if rows.get(name) != each}
    return [*_unreadable(rows), *_unreadable(only_live)]


@transaction.atomic
def rotate_credentials() -> int:
    """Seal every stored credential anew with the first key and return how many; then older keys can go.

    Raises SecretUnreadable, with nothing changed, where one cannot be read.
    """
    rows, live = _rows(Provider, lock=True), _rows(LiveCredential, lock=True)
    stored = [each for each in rows.items() if isinstance(each[1][0], Sealed)]
    for name, (sealed, _) in stored:
        renewed = sealed.renewed()
        Provider.objects.filter(name=name).update(credential=renewed)
        if live.get(name, NOTHING)[0] == sealed:  # the same text still, so that no change is seen
            LiveCredential.objects.filter(name=name).update(credential=renewed)
            del live[name]
    for name, (sealed, _) in live.items():
        if isinstance(sealed, Sealed):
            LiveCredential.objects.filter(name=name).update(credential=sealed.renewed())
    return len(stored)


def held() -> dict[str, Held]:
    """Return the credential that serves under each provider's name."""
    return _rows(LiveCredential)


def drafted() -> dict[str, Held]:
    """Return the credential that each provider's row has."""
    return _rows(Provider)


def waiting(table: Document) -> list[str]:
    """Name the providers of `table` whose rows hold another credential than serves under their name."""
    rows, live = drafted(), held()
    named = {entry["name"] for entry in table["providers"]} & rows.keys()
    return sorted(name for name in named if rows[name][0] != live.get(name, NOTHING)[0])


def fingerprint() -> str:
    """Return something that differs whenever a credential of the draft does, and tells nothing about it."""
    held = [(name, getattr(sealed, "token", ""), variable) for name, (sealed, variable) in drafted().items()]
    return hashlib.sha256(repr(sorted(held)).encode()).hexdigest()


def put_live(table: Document, *, keep: Iterable[str] = ()) -> bool:
    """Let the rows' credentials serve for the providers of `table`, and forget those of others.

    Providers in `keep` go on with what they have. Returns whether anything changed.
    """
    rows, live = drafted(), held()
    named = {entry["name"] for entry in table["providers"]}
    changed = {name for name in named & rows.keys() if rows[name] != live.get(name, NOTHING)} - set(keep)
    for name in changed:
        sealed, variable = rows[name]
        values = {"credential": sealed, "credential_env": variable, "changed_at": timezone.now()}
        LiveCredential.objects.update_or_create(name=name, defaults=values)
    gone = live.keys() - named
    if gone:
        LiveCredential.objects.filter(name__in=gone).delete()
    return bool(changed or gone)


def take_back(table: Document) -> None:
    """Give the rows of the providers of `table` the credentials that serve."""
    rows = drafted()
    for name, (sealed, variable) in held().items():
        if name in rows and rows[name] != (sealed, variable):
            Provider.objects.filter(name=name).update(
                credential=sealed, credential_env=variable, credential_changed_at=timezone.now()
            )


def moved(was: Entry, now: Entry) -> bool:
    """Say whether a provider is at another host than before."""
    one, other = (urlsplit(each["base_url"]) for each in (was, now))
    return (one.scheme, one.netloc.lower()) != (other.scheme, other.netloc.lower())


def led_elsewhere(before: Document, after: Document) -> list[str]:
    """Name the providers whose stored credential would go to another host than it was entered for."""
    known = {entry["name"]: entry for entry in before["providers"] if entry["credential"] == STORED}
    stored = [entry for entry in after["providers"] if entry["credential"] == STORED and entry["name"] in known]
    return sorted(entry["name"] for entry in stored if moved(known[entry["name"]], entry))


def _unreadable(rows: Mapping[str, Held]) -> Iterator[str]:
    for name, (sealed, _) in rows.items():
        try:
            if isinstance(sealed, Sealed):
                sealed.open()
        except SecretUnreadable as error:
            yield f"provider {name}: {error}"


def _rows(model: type[Provider] | type[LiveCredential], *, lock: bool = False) -> dict[str, Held]:
    rows: Any = model._default_manager.all()
    rows = rows.select_for_update() if lock else rows
    found = rows.values_list("name", "credential", "credential_env")
    return {name: (sealed or "", variable) for name, sealed, variable in found}
