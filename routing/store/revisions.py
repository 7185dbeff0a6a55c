"""Publishing: the draft frozen into a revision, undone, previewed. Publishers wait for each other."""

from collections.abc import Collection, Mapping
from typing import Any

from django.db import connection, transaction

from routing import document
from routing.diff import Change, changes
from routing.document import Document, DocumentError
from routing.models import DraftEdit, Revision
from routing.store import credentials
from routing.store.rows import RoutingRefused, read_rows, write_rows


class CredentialsMove(RoutingRefused):
    """A stored credential would be sent to another host than it was entered for."""


_LOCK = 0x716C_6974_65  # any constant that is only ours, for PostgreSQL's advisory locks


def draft() -> Document:
    """Return the rows as a document. Raises RoutingRefused."""
    return read_rows()


def latest() -> Revision | None:
    """Return the revision that serves, None before the first. Its table is fetched when asked for: it may be large."""
    return Revision.objects.defer("document", "diff").order_by("-number").first()


def pending() -> list[Change]:
    """List what publishing would change. Raises RoutingRefused."""
    table = draft()
    return changes(document_of(latest(), like=table), table)


@transaction.atomic
def publish(
    author: str, note: str = "", *, restored_from: Revision | None = None, table: Document | None = None
) -> Revision:
    """Freeze the draft into a new revision; returns the latest where nothing changed. Raises RoutingRefused.

    The credentials of the rows serve from now on, also where nothing else changed. `table` is the draft where it has
    been read already, by who holds the publishers' lock.
    """
    wait_for_other_publishers()
    after = draft() if table is None else table
    credentials.put_live(after)
    edits = DraftEdit.objects.all()
    editors = sorted(set(edits.values_list("author", flat=True)))
    revision = freeze(after, author, note, editors=editors or [author], restored_from=restored_from)
    edits.delete()
    return revision


def freeze(
    after: Document, author: str, note: str, *, editors: list[str], restored_from: Revision | None = None
) -> Revision:
    """Make `after` the revision that serves; returns the latest where it says the same."""
    last = latest()
    before = document_of(last, like=after)
    if last is not None and before == after:
        return last
    return Revision.objects.create(
        document=after,
        author=author,
        note=note,
        diff=[change.as_dict() for change in changes(before, after)],
        editors=editors,
        restored_from=restored_from,
    )


@transaction.atomic
def restore(revision: Revision | int, author: str, *, move_credentials: bool = False) -> Revision:
    """Set the rows to what an earlier revision said and publish that as a new one. Raises RoutingRefused.

    Credentials are not in revisions: a provider that still exists keeps its own, others have to be given one again
    (the new revision's note names them). One that would come to another host is refused, unless `move_credentials`.
    """
    wait_for_other_publishers()
    if isinstance(revision, int):
        revision = numbered(revision)
    note = set_rows(revision, move_credentials=move_credentials)
    return publish(author, note, restored_from=revision)


def set_rows(revision: Revision, *, move_credentials: bool = False) -> str:
    """Make the draft say what an earlier revision said, and return a note on it. Raises RoutingRefused.

    What waited in the draft goes, credentials too: nobody has looked at them, and they would serve with the rest.
    """
    after, serving = document_of(revision), document_of(latest())
    if not move_credentials:
        held = {entry["name"]: entry for table in (draft(), serving) for entry in table["providers"]}
        refuse_moved({"providers": list(held.values())}, after)
    credentials.take_back(serving)
    notices = write_rows(after, {}, replace=True)
    DraftEdit.objects.all().delete()
    return ". ".join([f"Restored revision {revision.number}", *notices])


def refuse_moved(before: Document, after: Document, *, entered: Collection[str] = ()) -> None:
    """Raise CredentialsMove where a stored credential would come to another host; `entered` providers get a new one."""
    led = [name for name in credentials.led_elsewhere(before, after) if name not in entered]
    if led:
        raise CredentialsMove(f"the stored credential of {', '.join(led)} was entered for another host")


def before_last() -> int:
    """Return the number of the revision that served before the one that serves, 0 where there is none."""
    numbers = Revision.objects.order_by("-number").values_list("number", flat=True)[:2]
    return int(numbers[1]) if len(numbers) > 1 else 0


@transaction.atomic
def apply(
    table: Mapping[str, Any],
    author: str,
    note: str = "",
    *,
    secrets: Mapping[str, str] | None = None,
    replace: bool = False,
) -> Revision:
    """Write a document to the rows and publish it. Raises RoutingRefused, with nothing changed.

    Providers and routes are added or changed by name; `replace` also removes those it does not mention. `secrets` are
    credentials by provider name, stored encrypted.
    """
    wait_for_other_publishers()
    write_rows(normal(table), secrets or {}, replace=replace)
    return publish(author, note)


def preview(
    table: Mapping[str, Any], *, secrets: Mapping[str, str] | None = None, replace: bool = False
) -> list[Change]:
    """List what `apply` would change. Raises RoutingRefused as `apply` would."""
    return changes(*tried(table, secrets=secrets, replace=replace))


def tried(
    table: Mapping[str, Any], *, secrets: Mapping[str, str] | None = None, replace: bool = False
) -> tuple[Document, Document]:
    """Return the draft before and after `apply`, by doing it and taking it back. Raises RoutingRefused."""
    with transaction.atomic():
        before = draft()
        write_rows(normal(table), secrets or {}, replace=replace)
        after = draft()
        transaction.set_rollback(True)
    return before, after


def normal(table: Mapping[str, Any], *, like: Document | None = None) -> Document:
    """Return `table` in normal form. Raises RoutingRefused."""
    try:
        return document.normal(table, like=like)
    except DocumentError as error:
        raise RoutingRefused(str(error)) from None


def document_of(revision: Revision | None, *, like: Document | None = None) -> Document:
    """Return what a revision says, in today's normal form; sooner where much is as in `like`. Raises RoutingRefused."""
    return normal(revision.document, like=like) if revision is not None else document.empty()


def numbered(number: int) -> Revision:
    """Return the revision of this number. Raises RoutingRefused."""
    try:
        return Revision.objects.get(number=number)
    except Revision.DoesNotExist:
        raise RoutingRefused(f"there is no revision {number}") from None


def named(state: str) -> Document:
    """Return a state of the table: a revision by its number, `serving` or `draft`. Raises RoutingRefused."""
    if state == "draft":
        return draft()
    if state == "serving":
        return document_of(latest())
    if not state.isdecimal() or len(state) > 18:
        raise RoutingRefused(f"{state!r} is neither the number of a revision nor 'serving' nor 'draft'")
    return document_of(numbered(int(state)))


def wait_for_other_publishers() -> None:
    """Take the publishers' lock until the transaction ends. SQLite's transactions already wait for each other."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
