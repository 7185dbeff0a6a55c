"""What the gateway serves from: the latest revision, with the credentials it names."""

import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection

from routing.document import Entry
from routing.fields import Sealed, SecretUnreadable
from routing.kinds import KINDS
from routing.models import LiveCredential, Revision
from routing.snapshot import Snapshot, compile
from routing.store import credentials
from routing.store.credentials import NOTHING, Held
from routing.store.rows import read_rows
from routing.values import Provider

Mark = tuple[Any, ...]
# A plain statement: it is asked twice a second, in the interpreter that the calls need.
MARK = (
    f"SELECT (SELECT COALESCE(MAX(number), 0) FROM {Revision._meta.db_table}), "  # noqa: S608  our own names
    f"(SELECT MAX(changed_at) FROM {LiveCredential._meta.db_table})"
)

log = logging.getLogger(__name__)


def load_snapshot(environ: Mapping[str, str] | None = None) -> Snapshot:
    """Compile the latest revision. Variables come from `environ`, by default the process's own.

    A credential that is missing or cannot be decrypted leaves its provider without one and writes a log line: the
    rest of the table goes on serving.
    """
    revision = Revision.objects.order_by("-number").only("number", "document").first()
    if revision is None:
        return compile({"providers": [], "routes": []}, {}, 0)
    environ = os.environ if environ is None else environ
    secrets = _secrets(revision.document["providers"], credentials.held(), environ)
    return compile(revision.document, secrets, revision.number)


def load_provider(name: str, environ: Mapping[str, str] | None = None) -> Provider:
    """Return one saved provider as it would serve, published or not. Raises KeyError where there is none."""
    entries = [entry for entry in read_rows()["providers"] if entry["name"] == name]
    secrets = _secrets(entries, credentials.drafted(), os.environ if environ is None else environ)
    return compile({"providers": entries, "routes": []}, secrets, 0).providers[name]


def mark() -> Mark:
    """Return something that differs whenever `load_snapshot` would: latest revision, newest credential."""
    with connection.cursor() as cursor:
        cursor.execute(MARK)
        return tuple(cursor.fetchone())


def _secrets(entries: Iterable[Entry], held: Mapping[str, Held], environ: Mapping[str, str]) -> dict[str, str]:
    secrets = {}
    for entry in entries:
        sealed, variable = held.get(entry["name"], NOTHING)
        try:
            secret = _secret(entry.get("credential"), sealed, variable, environ)
        except SecretUnreadable as error:
            log.error("provider %s serves without its credential: %s", entry["name"], error)
            continue
        if secret:
            secrets[entry["name"]] = secret
        elif entry.get("credential") or _required(entry):
            log.warning("provider %s has no credential", entry["name"])
    return secrets


def _secret(credential: Entry | None, sealed: object, variable: str, environ: Mapping[str, str]) -> str:
    """Return the credential that a document names, '' if there is none. Raises SecretUnreadable.

    A new credential serves at once, also where it moved from the row to a variable.
    """
    if credential is None:
        return ""
    if "stored" in credential and isinstance(sealed, Sealed):
        return sealed.open().strip()
    name = credential.get("env") or variable
    return environ.get(name, "").strip() if name else ""


def _required(entry: Entry) -> bool:
    kind = KINDS.get(entry["kind"])
    return kind is not None and kind.credential_required
