"""The routing table between the database and plain values: draft, publish, undo, load."""

from routing.store.credentials import check_credentials, rotate_credentials
from routing.store.revisions import apply, draft, latest, pending, preview, publish, restore
from routing.store.rows import RoutingRefused
from routing.store.serving import load_provider, load_snapshot, mark

__all__ = [
    "RoutingRefused",
    "apply",
    "check_credentials",
    "draft",
    "latest",
    "load_provider",
    "load_snapshot",
    "mark",
    "pending",
    "preview",
    "publish",
    "restore",
    "rotate_credentials",
]
