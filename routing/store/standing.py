"""What people should know about the draft on each page: asked often, so it costs a few small queries."""

from dataclasses import dataclass

from routing.models import DraftEdit, Publication, Revision
from routing.store.review import scheduled


@dataclass(frozen=True, slots=True)
class Standing:
    """How many changes wait, since whose edits, and what is or was set to go live by itself."""

    changes: int
    editors: tuple[str, ...]
    scheduled: Publication | None
    failed: Publication | None


def standing() -> Standing | None:
    """Return what waits, None if nothing does."""
    waits, failed = scheduled(), _failed()
    edits = list(DraftEdit.objects.values_list("author", "pending"))
    if not (edits or waits or failed):
        return None
    return Standing(edits[-1][1] if edits else 0, tuple(sorted({author for author, _ in edits})), waits, failed)


def _failed() -> Publication | None:
    """Return the last publication if it could not go live and nobody has published since."""
    last = Publication.objects.defer("document", "base").order_by("-id").first()
    if last is None or last.state != Publication.State.FAILED:
        return None
    return None if Revision.objects.filter(at__gt=last.due).exists() else last
