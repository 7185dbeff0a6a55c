"""Edits that wait: kept as a draft, published by somebody, at once or at a set time, or discarded.

With `QLITE_ROUTING_REVIEW=off` the same calls publish at once.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from routing.diff import Change, changes
from routing.document import Document
from routing.merge import merged
from routing.models import DraftEdit, Publication, Revision
from routing.store import credentials
from routing.store.checks import findings
from routing.store.revisions import (
    before_last,
    document_of,
    draft,
    freeze,
    latest,
    normal,
    publish,
    restore,
    set_rows,
    wait_for_other_publishers,
)
from routing.store.rows import RoutingRefused, write_rows

WAITING = Publication.State.WAITING
# A plain statement: it is asked several times a second, in the interpreter that the calls need.
DUE = f"SELECT 1 FROM {Publication._meta.db_table} WHERE state = 'waiting' AND due <= %s"  # noqa: S608  our own name


class DraftMoved(RoutingRefused):
    """The draft is no longer what whoever publishes it has looked at."""


class Unconfirmed(RoutingRefused):
    """There are warnings, and nobody said that they are meant so."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of an edit: the revision that serves, whether it is new, and how many changes wait in the draft."""

    revision: Revision | None
    new: bool
    waiting: int = 0


def version(table: Document | None = None) -> str:
    """Return something that differs whenever the draft, its credentials or what serves differs.

    Here and below `table` is the draft where it has been read already: a large one takes its time.
    """
    last = latest()
    rows = json.dumps(draft() if table is None else table, sort_keys=True)
    text = f"{last.number if last else 0} {credentials.fingerprint()} {rows}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@transaction.atomic
def save(author: str, note: str = "") -> Kept:
    """Publish what the rows say, or in review mode keep it as a draft. Raises RoutingRefused."""
    wait_for_other_publishers()
    before = latest()
    if settings.ROUTING_REVIEW:
        return Kept(before, False, _keep(author, note))
    revision = publish(author, note)
    return Kept(revision, before is None or before.number != revision.number)


@transaction.atomic
def take(
    table: Mapping[str, Any],
    author: str,
    note: str = "",
    *,
    secrets: Mapping[str, str] | None = None,
    replace: bool = False,
    seen: str = "",
) -> Kept:
    """Write a document to the rows as `apply` does, and `save`. Raises RoutingRefused.

    With `seen`, only on top of that version of the draft.
    """
    wait_for_other_publishers()
    if seen:
        _refuse_unseen(seen)
    write_rows(normal(table), secrets or {}, replace=replace)
    return save(author, note)


@transaction.atomic
def publish_draft(author: str, note: str, *, seen: str, confirmed: bool = False) -> Revision:
    """Publish the draft that whoever publishes has seen as version `seen`. Raises RoutingRefused with the reason."""
    table = _judge(author, seen, confirmed)
    return publish(author, note or notes(), table=table)


@transaction.atomic
def schedule(author: str, note: str, due: datetime, *, seen: str, confirmed: bool = False) -> Publication:
    """Let the draft as it is go live at `due`. Raises RoutingRefused with the reason."""
    table = _judge(author, seen, confirmed)
    if due <= timezone.now():
        raise RoutingRefused("that time has passed")
    if scheduled() is not None:
        raise RoutingRefused("a publication waits already; cancel it first")
    last = DraftEdit.objects.order_by("-id").first()
    return Publication.objects.create(
        due=due,
        document=table,
        base=document_of(latest(), like=table),
        author=author,
        note=note or notes(),
        editors=editors(),
        last_edit=last.pk if last else 0,
    )


def scheduled() -> Publication | None:
    """Return the publication that waits for its time."""
    return Publication.objects.filter(state=WAITING).first()


def past_publications(at_most: int = 5) -> list[Publication]:
    """List what became of the last publications with a time, newest first."""
    return list(Publication.objects.exclude(state=WAITING).defer("document", "base")[:at_most])


@transaction.atomic
def cancel(author: str) -> Publication:
    """Take back the publication that waits. Its changes stay in the draft. Raises RoutingRefused."""
    wait_for_other_publishers()
    waiting = scheduled()
    if waiting is None:
        raise RoutingRefused("no publication waits; it may have gone live meanwhile")
    return _over(waiting, Publication.State.CANCELLED, f"Cancelled by {author}")


def publish_due(now: datetime | None = None) -> Publication | None:
    """Let the publication go live whose time has come. Called by every process; one of them does it."""
    now = now or timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(DUE, [connection.ops.adapt_datetimefield_value(now)])
        if cursor.fetchone() is None:
            return None
    try:
        with transaction.atomic():
            wait_for_other_publishers()
            waiting = Publication.objects.filter(state=WAITING, due__lte=now).first()
            return _go_live(waiting) if waiting is not None else None
    except RoutingRefused as refused:  # said once where people see it, and not tried again and again
        Publication.objects.filter(state=WAITING, due__lte=now).update(
            state=Publication.State.FAILED, outcome=f"Not published: {refused}"
        )
        return None


@transaction.atomic
def discard(author: str, *, seen: str) -> None:
    """Set the rows back to what serves. Raises RoutingRefused."""
    wait_for_other_publishers()
    _refuse_unseen(seen)
    table = document_of(latest())
    write_rows(table, {}, replace=True)
    credentials.take_back(table)
    DraftEdit.objects.all().delete()


@transaction.atomic
def bring_back(revision: Revision, author: str, *, alone: bool = False, move_credentials: bool = False) -> Kept:
    """Restore an earlier revision, or keep it as a draft where somebody else has to agree. Raises RoutingRefused.

    `alone`: without a second person even where approval is asked for.
    """
    wait_for_other_publishers()
    if alone or may_restore(revision):
        return Kept(restore(revision, author, move_credentials=move_credentials), True)
    note = set_rows(revision, move_credentials=move_credentials)
    return Kept(latest(), False, _keep(author, note))


def may_restore(revision: Revision) -> bool:
    """Say whether one person alone may restore it: with approval asked for, only what served until just now."""
    return not settings.ROUTING_APPROVAL or revision.number == before_last()


def edits() -> list[DraftEdit]:
    """List what was edited since the last publication, oldest first."""
    return list(DraftEdit.objects.all())


def editors() -> list[str]:
    """Name who edited the draft."""
    return sorted(set(DraftEdit.objects.values_list("author", flat=True)))


def notes() -> str:
    """Return the notes of all edits as one."""
    return "; ".join(dict.fromkeys(DraftEdit.objects.exclude(note="").values_list("note", flat=True)))


def waiting_changes(table: Document | None = None) -> list[Change]:
    """List what publishing would change, new credentials too. Raises RoutingRefused."""
    table = draft() if table is None else table
    serving = document_of(latest(), like=table)
    return [*changes(serving, table), *(_new_credential(name) for name in credentials.waiting(serving))]


def may_publish(author: str) -> bool:
    """Say whether `author` may publish this draft: with approval asked for, nobody publishes their own edits."""
    return not (settings.ROUTING_APPROVAL and author in editors())


def _judge(author: str, seen: str, confirmed: bool) -> Document:
    """Return the draft where it may be published. Nobody edits it until the transaction ends."""
    wait_for_other_publishers()
    table = draft()
    _refuse_unseen(seen, table)
    if not waiting_changes(table):
        raise RoutingRefused("there is nothing to publish")
    if not may_publish(author):
        raise RoutingRefused(f"{author} edited this draft: somebody else has to publish it")
    found = findings(table)
    errors = [each.sentence for each in found if each.level == "error"]
    if errors:
        raise RoutingRefused("; ".join(errors))
    if found and not confirmed:
        raise Unconfirmed("; ".join(each.sentence for each in found))
    return table


def _refuse_unseen(seen: str, table: Document | None = None) -> None:
    if seen != version(table):
        raise DraftMoved("the draft has changed since you looked at it; look again")


def _keep(author: str, note: str) -> int:
    """Note an edit of the draft, unless it changed nothing, and return how many changes wait."""
    table = draft()
    count, now = len(waiting_changes(table)), version(table)
    last = DraftEdit.objects.order_by("-id").first()
    if not count:
        DraftEdit.objects.all().delete()
    elif last is None or last.version != now:
        DraftEdit.objects.create(author=author, note=note, pending=count, version=now)
    return count


def _go_live(waiting: Publication) -> Publication:
    """Publish what waited on top of what serves by now; where both changed the same, nothing is published."""
    serving = document_of(latest())
    table, clashes = merged(normal(waiting.base), serving, normal(waiting.document))
    if clashes:
        return _over(waiting, Publication.State.FAILED, f"Not published: {'; '.join(clashes)} meanwhile")
    before = draft()
    there = _unmoved(before, table)
    if gone := sorted(set(credentials.led_elsewhere(serving, table)) - there):
        outcome = f"Not published: the credential that was entered for the new address of {', '.join(gone)} is gone"
        return _over(waiting, Publication.State.FAILED, outcome)
    _let_rows_follow(serving, before, table)
    credentials.put_live(table, keep={entry["name"] for entry in before["providers"]} - there)
    waiting.revision = freeze(table, waiting.author, waiting.note, editors=waiting.editors)
    DraftEdit.objects.filter(pk__lte=waiting.last_edit).delete()
    DraftEdit.objects.update(pending=len(waiting_changes()))
    return _over(waiting, Publication.State.DONE, f"Published as revision {waiting.revision.number}")


def _let_rows_follow(serving: Document, before: Document, table: Document) -> None:
    """Bring what goes live into the rows where it was discarded there; what the draft says otherwise stays."""
    after, _ = merged(serving, before, table)
    if after != before:
        write_rows(after, {}, replace=True)


def _unmoved(rows: Document, table: Document) -> set[str]:
    """Providers that the draft has at the address they serve from: only their new credentials may go there."""
    there = {entry["name"]: entry["base_url"] for entry in table["providers"]}
    return {entry["name"] for entry in rows["providers"] if there.get(entry["name"]) == entry["base_url"]}


def _over(waiting: Publication, state: Publication.State, outcome: str) -> Publication:
    waiting.state, waiting.outcome = state, outcome
    waiting.save()
    return waiting


def _new_credential(provider: str) -> Change:
    sentence = f"provider {provider}: a new credential"
    return Change("provider", provider, "", "changed", "credential", "stored", "stored anew", sentence)
