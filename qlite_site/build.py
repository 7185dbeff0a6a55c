"""Which qlite this is: version, commit, build time. An image has a file BUILD; a checkout is read from its .git."""

import json
import platform
from datetime import UTC, datetime
from pathlib import Path

import django

from qlite_site import __version__

ROOT = Path(__file__).resolve().parent.parent


def describe() -> dict[str, str]:
    """Return version, commit, built (ISO time), python and django."""
    return {
        "version": __version__,
        **(_from_file(ROOT / "BUILD") or _from_git(ROOT / ".git")),
        "python": platform.python_version(),
        "django": django.get_version(),
    }


def _from_file(path: Path) -> dict[str, str] | None:
    """An image build writes {"commit": ..., "built": ...} there."""
    try:
        written = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return {"commit": str(written.get("commit", "unknown")), "built": str(written.get("built", "unknown"))}


def _from_git(folder: Path) -> dict[str, str]:
    try:
        head = (folder / "HEAD").read_text().strip()
        place = folder / head.removeprefix("ref: ") if head.startswith("ref: ") else folder / "HEAD"
        commit = place.read_text().strip()
        built = datetime.fromtimestamp(place.stat().st_mtime, UTC).isoformat(timespec="seconds")
    except OSError:
        return {"commit": "unknown", "built": "unknown"}
    return {"commit": commit[:12], "built": built}
