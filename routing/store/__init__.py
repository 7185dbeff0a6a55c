"""The routing table between the database and plain values: draft, publish, undo, load."""

from routing.store.checks import ask_prices, findings
from routing.store.credentials import check_credentials, rotate_credentials
from routing.store.review import (
    DraftMoved,
    Kept,
    Unconfirmed,
    cancel,
    discard,
    editors,
    edits,
    may_publish,
    notes,
    publish_draft,
    publish_due,
    save,
    schedule,
    scheduled,
    take,
    version,
    waiting_changes,
)
from routing.store.revisions import apply, document_of, draft, latest, numbered, pending, preview, publish, restore
from routing.store.rows import RoutingRefused
from routing.store.serving import load_provider, load_snapshot, mark

__all__ = [
    "DraftMoved",
    "Kept",
    "RoutingRefused",
    "Unconfirmed",
    "apply",
    "ask_prices",
    "cancel",
    "check_credentials",
    "discard",
    "document_of",
    "draft",
    "editors",
    "edits",
    "findings",
    "latest",
    "load_provider",
    "load_snapshot",
    "mark",
    "may_publish",
    "notes",
    "numbered",
    "pending",
    "preview",
    "publish",
    "publish_draft",
    "publish_due",
    "restore",
    "rotate_credentials",
    "save",
    "schedule",
    "scheduled",
    "take",
    "version",
    "waiting_changes",
]
