"""What changed between two routing documents: data for pages, a sentence for people."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from routing.document import TARGET_FIELDS, Document, Entry, label

_TERMS = tuple(TARGET_FIELDS)[5:]  # conditions, shares and time limits
MAX_SHOWN = 80  # characters of a value in a sentence


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `before` and `after` are the field's values, or the whole entry if it was added or removed."""

    what: str  # "provider", "route" or "target"
    name: str  # of the provider or route
    target: str  # "provider/model" of the target, else ""
    action: str  # "added", "removed" or "changed"
    field: str  # "" unless changed
    before: Any
    after: Any
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def changes(before: Document, after: Document) -> list[Change]:
    """List what leads from one document in normal form to another: providers first, then routes, by name."""
    return [
        *_listed("provider", before["providers"], after["providers"]),
        *_listed("route", before["routes"], after["routes"]),
    ]


def _listed(what: str, before: list[Entry], after: list[Entry]) -> Iterator[Change]:
    old = {label(entry): entry for entry in before}
    new = {label(entry): entry for entry in after}
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name), new.get(name)
        if was is None and now is not None:
            yield Change(what, name, "", "added", "", None, now, f"{what} {name} added: {_summary(now)}")
        elif now is None:
            yield Change(what, name, "", "removed", "", was, None, f"{what} {name} removed")
        elif was is not None and was != now:
            yield from _fields(what, name, was, now)
            yield from _targets(name, was.get("targets", []), now.get("targets", []))


def _fields(what: str, name: str, was: Entry, now: Entry, target: str = "") -> Iterator[Change]:
    subject = f"route {name}: target {target}" if target else f"{what} {name}"
    for field in dict.fromkeys([*was, *now]):
        before, after = was.get(field), now.get(field)
        if before != after and field != "targets":
            sentence = f"{subject}: {field} {shown(before)} -> {shown(after)}"
            yield Change(what, name, target, "changed", field, before, after, sentence)


def _targets(route: str, before: list[Entry], after: list[Entry]) -> Iterator[Change]:
    old, new = by_label(before), by_label(after)
    for name in dict.fromkeys([*old, *new]):
        was, now = old.get(name), new.get(name)
        if was is None and now is not None:
            sentence = f"route {route}: target {name} added{_qualities(now)}"
            yield Change("target", route, name, "added", "", None, now, sentence)
        elif now is None:
            yield Change("target", route, name, "removed", "", was, None, f"route {route}: target {name} removed")
        elif was is not None:
            yield from _fields("target", route, was, now, name)
    kept_before, kept_after = [x for x in old if x in new], [x for x in new if x in old]
    if kept_before != kept_after:
        sentence = f"route {route}: order of targets {', '.join(kept_before)} -> {', '.join(kept_after)}"
        yield Change("route", route, "", "changed", "targets", kept_before, kept_after, sentence)


def by_label(targets: list[Entry]) -> dict[str, Entry]:
    """Targets by `provider/model`; the second of the same name gets ` (2)`."""
    seen: Counter[str] = Counter()
    labelled = {}
    for target in targets:
        name = _target_name(target)
        seen[name] += 1
        labelled[name if seen[name] == 1 else f"{name} ({seen[name]})"] = target
    return labelled


def _target_name(target: Entry) -> str:
    return f"{target['provider']}/{target['model'] or '(as asked)'}"


def _summary(entry: Entry) -> str:
    if "kind" in entry:
        return f"{entry['kind']} at {entry['base_url']}" if entry["base_url"] else str(entry["kind"])
    if entry["alias_of"]:
        return f"alias of {entry['alias_of']}"
    return ", ".join(_target_name(each) + _qualities(each) for each in entry["targets"]) or "no targets"


def _qualities(target: Entry) -> str:
    """Say what is not usual about a target."""
    words = [f"tier {target['tier']}"] if target["tier"] else []
    words += [f"weight {target['weight']}"] if target["weight"] != 1 else []
    words += [] if target["enabled"] else ["off"]
    words += [f"{field.replace('_', ' ')} {shown(target[field])}" for field in _TERMS if _is_set(target, field)]
    return f" ({', '.join(words)})" if words else ""


def _is_set(target: Entry, field: str) -> bool:
    return bool(target.get(field, TARGET_FIELDS[field].default) != TARGET_FIELDS[field].default)


def shown(value: Any) -> str:
    """Return a field's value as people read it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict):
        return f"${{{value['env']}}}" if "env" in value else "stored"
    if value == "":
        return "empty"
    shown = " ".join(str(value).split())
    return shown if len(shown) <= MAX_SHOWN else shown[: MAX_SHOWN - 3] + "..."
