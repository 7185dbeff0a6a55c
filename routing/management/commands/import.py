"""`qlite import FILE.yaml`: take a routing table from text, show what changes, publish it or keep it as a draft."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from routing import exchange, inherited, store
from routing.address import AddressRefused
from routing.diff import changes
from routing.document import Document, DocumentError, Entry
from routing.kinds import KINDS
from routing.management.tables import AUTHOR, outcome, sentences, text
from routing.places import located


class Command(BaseCommand):
    help = "Read a routing table from a YAML file and publish it. Private addresses are accepted, and said so."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", nargs="?", help="A YAML file, or - for standard input.")
        parser.add_argument(
            "--env",
            action="store_true",
            help=f"Read {inherited.MAP} and {inherited.DEFAULT} instead, as older gateways did; --yes applies it.",
        )
        parser.add_argument("--yes", action="store_true", help="Apply what --env shows.")
        parser.add_argument("--replace", action="store_true", help="Remove what the file does not mention.")
        parser.add_argument("--dry-run", action="store_true", help="Show what would change, and change nothing.")
        parser.add_argument("--note", default="", help="A note for the revision.")
        parser.add_argument(
            "--move-credentials",
            action="store_true",
            help="Let stored credentials follow their providers to the hosts that the file names.",
        )

    def handle(self, *, file: str | None, env: bool, yes: bool, dry_run: bool, **options: Any) -> None:
        if env == (file is not None):
            raise CommandError("name a file, or say --env")
        given = "" if file is None else text(file)
        try:
            reading = _inherited() if file is None else exchange.read(given, os.environ)
            self._say(*reading.notices, *allow_private_addresses(reading.document))
            replace, move = options["replace"], options["move_credentials"]
            if dry_run or (env and not yes):
                self._say(*self._changes(reading, replace, move))
                self._say("Nothing was changed: " + ("this was a dry run." if dry_run else "--yes applies it."))
                return
            note = options["note"] or (f"Imported {Path(file).name}" if file else "Imported from the environment")
            self._apply(reading, replace, move, note)
        except store.CredentialsMove as refused:
            raise CommandError(
                f"Nothing was changed: {refused}. Give it again in the file or the admin, or say --move-credentials."
            ) from None
        except (DocumentError, store.RoutingRefused) as error:
            raise CommandError(located(str(error), given)) from None

    def _changes(self, reading: exchange.Reading, replace: bool, move: bool) -> list[str]:
        before, after = store.tried(reading.document, secrets=reading.secrets, replace=replace)
        if not move:
            store.refuse_moved(before, after, entered=reading.secrets)
        return sentences(changes(before, after))

    @transaction.atomic
    def _apply(self, reading: exchange.Reading, replace: bool, move: bool, note: str) -> None:
        told = self._changes(reading, replace, move)
        kept = store.take(reading.document, AUTHOR, note, secrets=reading.secrets, replace=replace)
        self._say(*(f"provider {name}: credential stored, encrypted" for name in reading.secrets))
        self._say(*told, outcome(kept))

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.stdout.write(line)


def _inherited() -> exchange.Reading:
    """Read the environment form. Raises CommandError where it says nothing."""
    mapping, default = (os.environ.get(name, "").strip() for name in (inherited.MAP, inherited.DEFAULT))
    if not mapping and not default:
        raise CommandError(f"neither {inherited.MAP} nor {inherited.DEFAULT} is set")
    table = inherited.table_of(mapping, default, store.draft(), ollama=os.environ.get("OLLAMA_BASE_URL", ""))
    return exchange.Reading(table, {}, ())


def allow_private_addresses(document: Document) -> list[str]:
    """Allow private addresses where a provider needs it: whoever has the command line has the network too.

    Returns a sentence for each provider that was changed.
    """
    said = []
    for entry in document["providers"]:
        if entry["base_url"] and not entry["allow_private"] and _only_private(entry):
            entry["allow_private"] = True
            said.append(f"provider {entry['name']}: {entry['base_url']} is on a private network; that is now allowed")
    return said


def _only_private(entry: Entry) -> bool:
    """Say whether nothing but `allow_private` keeps the provider's address from being accepted."""
    kind, insecure = KINDS[entry["kind"]], entry["allow_insecure"]
    try:
        kind.check_url(entry["base_url"], allow_private=False, allow_insecure=insecure)
    except AddressRefused:
        try:
            kind.check_url(entry["base_url"], allow_private=True, allow_insecure=insecure)
        except AddressRefused:
            return False
        return True
    return False
