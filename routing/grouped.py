"""Changes as people read them: grouped by provider and route, a line for each field and target, old and new beside."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from routing.diff import Change, shown
from routing.document import PROVIDER_FIELDS, ROUTE_FIELDS, TARGET_FIELDS, Entry, Field, without_defaults

ADDED, REMOVED, CHANGED = "added", "removed", "changed"


@dataclass(frozen=True, slots=True)
class Line:
    """What happened to one field, or to a target as a whole. `before` and `after` are text, '' for nothing."""

    action: str
    target: str
    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Group:
    """What happened to one provider or route."""

    what: str
    name: str
    action: str
    lines: list[Line] = field(default_factory=list)


def grouped(changes: Iterable[Change]) -> list[Group]:
    """Gather the changes by what they are about, in their order."""
    groups: dict[tuple[str, str], Group] = {}
    for change in changes:
        what = "provider" if change.what == "provider" else "route"
        whole = change.what != "target" and change.action in (ADDED, REMOVED)
        new = Group(what, change.name, change.action if whole else CHANGED)
        groups.setdefault((what, change.name), new).lines.extend(_lines(change))
    return list(groups.values())


def _lines(change: Change) -> Iterator[Line]:
    if change.action == CHANGED:
        yield Line(CHANGED, change.target, words(change.field), shown(change.before), shown(change.after))
        return
    entry = change.after if change.action == ADDED else change.before
    if change.what == "target":
        yield _target(change.action, entry, change.target)
        return
    fields = PROVIDER_FIELDS if change.what == "provider" else ROUTE_FIELDS
    for name, value in _told(entry, fields):
        if name not in ("name", "targets"):
            yield _line(change.action, "", words(name), shown(value))
    for target in entry.get("targets", []):
        yield _target(change.action, target, f"{target['provider']}/{target['model'] or '(as asked)'}")


def _target(action: str, entry: Entry, label: str) -> Line:
    told = [(name, value) for name, value in _told(entry, TARGET_FIELDS) if name not in ("provider", "model")]
    return _line(action, label, "", ", ".join(f"{words(name)} {shown(value)}" for name, value in told))


def _line(action: str, target: str, name: str, text: str) -> Line:
    return Line(action, target, name, text if action == REMOVED else "", text if action == ADDED else "")


def _told(entry: Entry, fields: Mapping[str, Field]) -> Iterable[tuple[str, Any]]:
    return without_defaults(entry, fields).items()


def words(name: str) -> str:
    """Return a field's name as people say it: `cache_ttl` is `cache ttl`."""
    return name.replace("_", " ")
