"""The routing table as one versioned document: what a revision holds and what text exports and imports.

`{"version": 1, "providers": [...], "routes": [...]}`, sorted by name, defaults written out, never a secret. A
provider's `credential` is `{"env": NAME}` (an environment variable), `{"stored": true}` (what the gateway has
for a provider of this name, whatever it is) or None (there is none).
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from routing import rules
from routing.kinds import KINDS

Document = dict[str, Any]
Entry = dict[str, Any]

VERSION = 1
STORED: Entry = {"stored": True}
ON_WORDS = frozenset({"on", "true", "yes", "1"})
OFF_WORDS = frozenset({"off", "false", "no", "0"})


class DocumentError(ValueError):
    """The document is not well formed; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Field:
    """How one field is read: `read` returns the value in normal form or raises ValueError."""

    read: Callable[[Any], Any]
    default: Any = None


def empty() -> Document:
    """Return a routing table with nothing in it."""
    return {"version": VERSION, "providers": [], "routes": []}


def normal(raw: Any) -> Document:
    """Return `raw` in normal form: known fields only, checked, sorted, with defaults. Raises DocumentError.

    Whether the targets' providers exist is not looked at, since a document may be merged into a larger table.
    """
    if not isinstance(raw, Mapping):
        raise DocumentError("the routing document is not a mapping with 'providers' and 'routes'")
    _refuse_unknown(raw, ("version", "providers", "routes"), "the document")
    if raw.get("version", VERSION) != VERSION:
        raise DocumentError(
            f"version {raw['version']!r} of the routing document is not known; this is version {VERSION}"
        )
    providers = [_provider(each, where) for where, each in _listed(raw, "providers")]
    routes = [_route(each, where) for where, each in _listed(raw, "routes")]
    return {
        "version": VERSION,
        "providers": _sorted_by_name(providers, "providers"),
        "routes": _sorted_by_name(routes, "routes"),
    }


def check_references(document: Document) -> None:
    """Raise DocumentError where a target names a provider that the document does not have."""
    known = {provider["name"] for provider in document["providers"]}
    for route in document["routes"]:
        for target in route["targets"]:
            if target["provider"] not in known:
                raise DocumentError(f"route {route['name']!r}: no provider is called {target['provider']!r}")


def text(document: Document) -> str:
    """Return the document as JSON text; equal documents give equal text."""
    return json.dumps(normal(document), indent=2, ensure_ascii=False) + "\n"


def without_defaults(entry: Mapping[str, Any], fields: Mapping[str, Field]) -> Entry:
    """Return `entry` without the fields that say what is said by leaving them out."""
    return {name: entry[name] for name in fields if name in entry and entry[name] != fields[name].default}


def _provider(raw: Any, where: str) -> Entry:
    entry = _entry(raw, PROVIDER_FIELDS, f"provider {_name_of(raw, where)}")
    kind = KINDS[entry["kind"]]
    entry["base_url"] = (entry["base_url"] or kind.base_url).rstrip("/")
    return entry


def _route(raw: Any, where: str) -> Entry:
    where = f"route {_name_of(raw, where)}"
    entry = _entry(raw, ROUTE_FIELDS, where)
    entry["targets"] = [
        _target(each, entry["name"], f"{where}, target {n}") for n, each in enumerate(entry["targets"], 1)
    ]
    return entry


def _target(raw: Any, route: str, where: str) -> Entry:
    entry = _entry(raw, TARGET_FIELDS, where)
    try:
        rules.check_target_model(route, entry["model"])
    except ValueError as error:
        raise DocumentError(f"{where}: {error}") from None
    return entry


def _entry(raw: Any, fields: Mapping[str, Field], where: str) -> Entry:
    if not isinstance(raw, Mapping):
        raise DocumentError(f"{where} is not a mapping")
    _refuse_unknown(raw, fields, where)
    entry = {}
    for name, field in fields.items():
        try:
            entry[name] = field.read(raw.get(name, field.default))
        except ValueError as error:
            raise DocumentError(f"{where}: {name}: {error}") from None
    return entry


def _refuse_unknown(raw: Mapping[Any, Any], known: Iterable[str], where: str) -> None:
    unknown = sorted(str(name) for name in raw if name not in known)
    if unknown:
        raise DocumentError(f"{where} has a field that is not known: {', '.join(unknown)}")


def _listed(raw: Mapping[str, Any], name: str) -> Iterable[tuple[str, Any]]:
    entries = raw.get(name)
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise DocumentError(f"'{name}' is not a list")
    return [(f"number {number}", entry) for number, entry in enumerate(entries, 1)]


def _name_of(raw: Any, otherwise: str) -> str:
    name = raw.get("name") if isinstance(raw, Mapping) else None
    return repr(name) if isinstance(name, str) and name else otherwise


def _sorted_by_name(entries: list[Entry], label: str) -> list[Entry]:
    names = [entry["name"] for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DocumentError(f"{label} has {twice[0]!r} twice")
    return sorted(entries, key=lambda entry: str(entry["name"]))


# --- Readers of single values. Strings stand for numbers and switches too, since ${VARIABLES} are strings.


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    if "\x00" in value:
        raise ValueError("a NUL character cannot be stored")
    return value


def _flag(value: Any) -> bool:
    word = str(value).lower()
    if not isinstance(value, bool) and word not in ON_WORDS | OFF_WORDS:
        raise ValueError(f"{value!r} is neither on nor off")
    return word in ON_WORDS


def _whole(value: Any, at_most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is not a whole number")
    try:
        number = int(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a whole number") from None
    rules.check_whole(number, at_most, "the value")
    return number


def _seconds(value: Any) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a number of seconds")
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a number of seconds") from None
    rules.check_seconds(number, "the value")
    return number


def _name(check: Callable[[str], None]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        name = _text(value)
        check(name)
        return name

    return read


def _kind(value: Any) -> str:
    name = _text(value)
    if name not in KINDS:
        raise ValueError(f"{name!r} is none of the kinds {', '.join(KINDS)}")
    return name


def _credential(value: Any) -> Entry | None:
    if value is None or value == STORED:
        return value and dict(STORED)
    if isinstance(value, Mapping) and set(value) == {"env"} and isinstance(value["env"], str):
        rules.check_variable_name(value["env"])
        return {"env": value["env"]}
    raise ValueError('a credential is {"env": NAME}, {"stored": true} or null; secrets do not belong here')


def _targets(value: Any) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise ValueError("this is not a list")
    return value or []


def _lifetime(value: Any) -> int | None:
    return None if value is None or value == "" else _whole(value, rules.MAX_CACHE_TTL)


PROVIDER_FIELDS: dict[str, Field] = {
    "name": Field(_name(rules.check_provider_name)),
    "kind": Field(_kind),
    "base_url": Field(_text, ""),
    "credential": Field(_credential, STORED),
    "free": Field(_flag, False),
    "allow_private": Field(_flag, False),
    "allow_insecure": Field(_flag, False),
    "by_name": Field(_flag, False),
    "forward_authorization": Field(_flag, False),
    "enabled": Field(_flag, True),
    "connect_timeout": Field(_seconds),
    "first_byte_timeout": Field(_seconds),
    "idle_timeout": Field(_seconds),
    "total_timeout": Field(_seconds),
    "note": Field(_text, ""),
}
ROUTE_FIELDS: dict[str, Field] = {
    "name": Field(_name(rules.check_route_name)),
    "enabled": Field(_flag, True),
    "cache_ttl": Field(_lifetime),
    "answer_as_asked": Field(_flag, False),
    "description": Field(_text, ""),
    "targets": Field(_targets, []),
}
TARGET_FIELDS: dict[str, Field] = {
    "provider": Field(_name(rules.check_provider_name)),
    "model": Field(_text, ""),
    "tier": Field(lambda value: _whole(value, rules.MAX_TIER), 0),
    "weight": Field(lambda value: _whole(value, rules.MAX_WEIGHT), 1),
    "enabled": Field(_flag, True),
}
