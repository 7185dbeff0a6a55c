"""One provider or route by itself, as the document has it: what a form was opened with, and what it would make."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError

from routing import document
from routing.diff import Change, changes
from routing.document import Document, DocumentError, Entry
from routing.models import DraftEdit, LiveCredential, Provider, Publication, Revision, Route
from routing.store import rows
from routing.store.rows import RoutingRefused


@dataclass(frozen=True, slots=True)
class Edit:
    """Who touched the table last, when, and why."""

    author: str
    at: datetime
    note: str


def entry_of(row: Provider | Route) -> Entry:
    """Return the row as its entry in the document. Raises RoutingRefused where it breaks the rules."""
    part, raw = ("providers", rows.provider_entry(row.pk)) if isinstance(row, Provider) else _route(row)
    try:
        found: Entry = document.normal({part: [raw]})[part][0]
    except DocumentError as error:
        raise RoutingRefused(str(error)) from None
    return found


def put(row: Provider | Route, entry: Entry) -> None:
    """Make the row say what `entry` says. Raises RoutingRefused."""
    if isinstance(row, Provider):
        rows.write_provider(row, entry, None)
        return
    for name in rows.ROUTE_COLUMNS:
        setattr(row, name, entry[name])
    try:
        row.full_clean()
    except ValidationError as error:
        raise RoutingRefused(f"route {document.label(entry)}: {' '.join(error.messages)}") from None
    row.save()
    rows.write_targets([entry])


def differences(row: Provider | Route, before: Entry, after: Entry) -> list[Change]:
    """List what leads from one entry to another."""
    return changes(_alone(row, before), _alone(row, {**after, "name": before["name"], "team": before.get("team", "")}))


def stamp() -> list[Any]:
    """Return something cheap that differs after each edit of the table by the admin or the command line."""
    last = Revision.objects.order_by("-number").values_list("number", flat=True).first()
    edit = DraftEdit.objects.order_by("-id").values_list("id", flat=True).first()
    done = Publication.objects.order_by("-id").values_list("id", "state").first()
    credential = LiveCredential.objects.order_by("-changed_at").values_list("changed_at", flat=True).first()
    return [last, edit, list(done or ()), credential and credential.isoformat()]


def last_edit() -> Edit | None:
    """Return the last edit of the table."""
    edit = DraftEdit.objects.order_by("-id").first()
    if edit is not None:
        return Edit(edit.author, edit.at, edit.note)
    revision = Revision.objects.defer("document", "diff").order_by("-number").first()
    return Edit(revision.author, revision.at, revision.note) if revision else None


def _route(row: Route) -> tuple[str, Entry]:
    return "routes", rows.route_entry(row.pk)


def _alone(row: Provider | Route, entry: Entry) -> Document:
    part = "providers" if isinstance(row, Provider) else "routes"
    return {**document.empty(), part: [entry]}
