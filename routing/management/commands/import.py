"""`qlite import FILE.yaml`: take a routing table from text, show what changes, publish it."""

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from routing import exchange, store
from routing.address import AddressRefused
from routing.document import Document, DocumentError, Entry
from routing.kinds import KINDS

AUTHOR = "command line"


class Command(BaseCommand):
    help = "Read a routing table from a YAML file and publish it. Private addresses are accepted, and said so."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="A YAML file, or - for standard input.")
        parser.add_argument("--replace", action="store_true", help="Remove what the file does not mention.")
        parser.add_argument("--dry-run", action="store_true", help="Show what would change, and change nothing.")
        parser.add_argument("--note", default="", help="A note for the revision.")

    def handle(self, *, file: str, replace: bool, dry_run: bool, note: str, **options: Any) -> None:
        try:
            reading = exchange.read(_text(file), os.environ)
            self._say(*reading.notices, *allow_private_addresses(reading.document))
            if dry_run:
                changes = store.preview(reading.document, secrets=reading.secrets, replace=replace)
                self._say(*(change.sentence for change in changes), "Nothing was changed: this was a dry run.")
                return
            self._apply(reading, replace=replace, note=note or f"Imported {Path(file).name}")
        except (DocumentError, store.RoutingRefused) as error:
            raise CommandError(str(error)) from None

    def _apply(self, reading: exchange.Reading, *, replace: bool, note: str) -> None:
        before = store.latest()
        revision = store.apply(reading.document, AUTHOR, note, secrets=reading.secrets, replace=replace)
        self._say(*(f"provider {name}: credential stored, encrypted" for name in reading.secrets))
        if before is not None and before.number == revision.number:
            self._say(f"The routing table is as before: revision {revision.number} goes on serving.")
            return
        self._say(*(change["sentence"] for change in revision.diff), f"Published revision {revision.number}.")

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.stdout.write(line)


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


def _text(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read: {error}") from None
