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


def _from_git(place: Path) -> dict[str, str]:
    try:
        folder = place if place.is_dir() else place.parent / place.read_text().removeprefix("gitdir:").strip()
        head = (folder / "HEAD").read_text().strip()
        commit, said = _named(folder, head[5:]) if head.startswith("ref: ") else (head, folder / "HEAD")
        built = datetime.fromtimestamp(said.stat().st_mtime, UTC).isoformat(timespec="seconds")
    except OSError:
        return {"commit": "unknown", "built": "unknown"}
    return {"commit": commit[:12], "built": built}


def _named(folder: Path, branch: str) -> tuple[str, Path]:
    """Return a branch's commit and the file that says so: its own, or the one into which git packs old ones."""
    elsewhere = folder / "commondir"  # where a second working tree has its branches
    common = folder / elsewhere.read_text().strip() if elsewhere.exists() else folder
    own, packed = common / branch, common / "packed-refs"
    if own.exists():
        return own.read_text().strip(), own
    lines = (line.split() for line in packed.read_text().splitlines())
    commit = next((line[0] for line in lines if line[1:] == [branch]), "unknown")
    return commit, packed
