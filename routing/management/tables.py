"""What the commands on the routing table share: states by name or file, and how differences are told."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from django.core.management.base import CommandError

from routing import exchange, store
from routing.diff import Change
from routing.document import Document, DocumentError
from routing.places import located
from routing.store import Kept

AUTHOR = "command line"
STATES = "a revision's number, 'serving', 'draft', or a YAML file"


def state(word: str) -> Document:
    """Return the table that `word` names. Raises CommandError."""
    given = ""
    try:
        if word in ("draft", "serving") or word.isdecimal():
            return store.named(word)
        given = text(word)
        return exchange.read(given, os.environ).document
    except (DocumentError, store.RoutingRefused) as error:
        raise CommandError(located(str(error), given), returncode=2) from None


def text(file: str) -> str:
    """Return what a file says, `-` for standard input. Raises CommandError."""
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read: {error}", returncode=2) from None


def sentences(changes: Iterable[Change]) -> list[str]:
    """Return a line for each change."""
    return [change.sentence for change in changes]


def outcome(kept: Kept) -> str:
    """Say what became of an edit."""
    if kept.revision is not None and kept.new:
        return f"Published revision {kept.revision.number}."
    if kept.waiting:
        return f"Kept in the draft, which does not serve yet: {kept.waiting} unpublished changes. See `qlite publish`."
    if kept.revision is None:
        return "The draft says what serves already."
    return f"The routing table is as before: revision {kept.revision.number} goes on serving."
