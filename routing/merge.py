"""Two people's changes to one routing document brought together, and where they cannot be."""

from collections.abc import Mapping
from typing import Any

from routing.diff import by_label
from routing.document import Document, Entry, label

_GONE: Any = object()


def merged(base: Document, theirs: Document, mine: Document) -> tuple[Document, list[str]]:
    """Return `theirs` with what `mine` changed of `base`, and a sentence for each thing that both changed differently.

    There, what is theirs stays. All three are in normal form. Fields are the unit, and of a route's targets theirs.
    """
    clashes: list[str] = []
    whole: Document = {}
    for part in dict.fromkeys([*base, *theirs, *mine]):
        was, now, wanted = (each.get(part) for each in (base, theirs, mine))
        if isinstance(was or now or wanted, list):
            whole[part] = _entries(part.removesuffix("s"), was or [], now or [], wanted or [], clashes)
        else:
            whole[part] = _chosen(part, was, now, wanted, clashes)
    return whole, clashes


def _entries(what: str, base: list[Entry], theirs: list[Entry], mine: list[Entry], clashes: list[str]) -> list[Entry]:
    old, new, wanted = ({_key(each): each for each in entries} for entries in (base, theirs, mine))
    found = {}
    for key in sorted(old.keys() | new.keys() | wanted.keys()):
        subject = f"{what} {label(old.get(key) or new.get(key) or wanted[key])}"
        entry = _entry(subject, old.get(key, _GONE), new.get(key, _GONE), wanted.get(key, _GONE), clashes)
        if entry is not _GONE:
            found[key] = entry
    return list(found.values())


def _entry(subject: str, was: Any, theirs: Any, mine: Any, clashes: list[str]) -> Any:
    if _GONE in (was, theirs, mine):
        return _chosen(subject, was, theirs, mine, clashes)
    return fields_merged(subject, was, theirs, mine, clashes)


def fields_merged(
    subject: str, was: Mapping[str, Any], theirs: Mapping[str, Any], mine: Mapping[str, Any], clashes: list[str]
) -> Entry:
    """Merge one provider, route or target, field by field; `clashes` gets a sentence for each changed by both."""
    whole = {}
    for field in dict.fromkeys([*was, *theirs, *mine]):
        choose = _targets if field == "targets" else _chosen
        whole[field] = choose(
            f"{subject}: {field.replace('_', ' ')}", was.get(field), theirs.get(field), mine.get(field), clashes
        )
    return whole


def _targets(subject: str, was: Any, theirs: Any, mine: Any, clashes: list[str]) -> Any:
    """Merge lists of targets, told apart by provider and model; a new order counts as a change of its own.

    What both added stands at the end, theirs before mine.
    """
    if mine in (was, theirs) or theirs == was:
        return _chosen(subject, was, theirs, mine, clashes)
    old, new, wanted = (by_label(each or []) for each in (was, theirs, mine))
    found = {}
    for name in dict.fromkeys([*new, *old, *wanted]):
        sides = old.get(name, _GONE), new.get(name, _GONE), wanted.get(name, _GONE)
        entry = _entry(f"{subject.removesuffix('s')} {name}", *sides, clashes)
        if entry is not _GONE:
            found[name] = entry
    shared = [name for name in old if name in new and name in wanted and name in found]
    was, theirs, mine = ([name for name in side if name in shared] for side in (old, new, wanted))
    placed = iter(_chosen(f"{subject}: order", was, theirs, mine, clashes))
    return [found[next(placed) if name in shared else name] for name in found]


def _chosen(subject: str, was: Any, theirs: Any, mine: Any, clashes: list[str]) -> Any:
    """The value that only one side changed; theirs, and a sentence, where both did."""
    if mine in (was, theirs):
        return theirs
    if theirs == was:
        return mine
    clashes.append(f"{subject} was changed on both sides")
    return theirs


def _key(entry: Entry) -> tuple[str, str]:
    return str(entry["name"]), str(entry.get("team", ""))
