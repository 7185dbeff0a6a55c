"""The routing table as one versioned document: what a revision holds and what text exports and imports.

`{"version": 1, "providers": [...], "routes": [...]}`, sorted by name, defaults written out, never a secret. A
provider's `credential` is `{"env": NAME}` (an environment variable), `{"stored": true}` (what the gateway has
for a provider of this name, whatever it is) or None (there is none).
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from routing import readers, rules
from routing.kinds import KINDS
from routing.readers import STORED

Document = dict[str, Any]
Entry = dict[str, Any]

VERSION = 1


class DocumentError(ValueError):
    """The document is not well formed; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Field:
    """How one field is read: `read` returns the value in normal form or raises ValueError.

    `settled`: its default is in normal form already. Most fields of a large table say their default.
    """

    read: Callable[[Any], Any]
    default: Any = None
    settled: bool = field(init=False)

    def __post_init__(self) -> None:
        try:
            settled = self.read(self.default) is self.default
        except ValueError:
            settled = False
        object.__setattr__(self, "settled", settled)


def empty() -> Document:
    """Return a routing table with nothing in it."""
    return {"version": VERSION, "providers": [], "routes": []}


def normal(raw: Any, *, like: Document | None = None) -> Document:
    """Return `raw` in normal form: known fields only, checked, sorted, with defaults. Raises DocumentError.

    Whether the targets' providers exist is not looked at, since a document may be merged into a larger table. Routes
    that are the same in `like`, which is in normal form, need no second look: of a large table that is nearly all.
    """
    if not isinstance(raw, Mapping):
        raise DocumentError("the routing document is not a mapping with 'providers' and 'routes'")
    _refuse_unknown(raw, ("version", "providers", "routes"), "the document")
    if raw.get("version", VERSION) != VERSION:
        raise DocumentError(
            f"version {raw['version']!r} of the routing document is not known; this is version {VERSION}"
        )
    providers = [_provider(each, where) for where, each in _listed(raw, "providers")]
    known = {(each["name"], each["team"]): each for each in like["routes"]} if like is not None else {}
    routes = [_known(each, known) or _route(each, where) for where, each in _listed(raw, "routes")]
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


def label(entry: Mapping[str, Any]) -> str:
    """Return what tells an entry from all others of its list: its name, and the team where it is one's own."""
    return f"{entry['name']} (team {entry['team']})" if entry.get("team") else str(entry["name"])


def without_defaults(entry: Mapping[str, Any], fields: Mapping[str, Field]) -> Entry:
    """Return `entry` without the fields that say what is said by leaving them out."""
    return {name: entry[name] for name in fields if name in entry and entry[name] != fields[name].default}


def _provider(raw: Any, where: str) -> Entry:
    entry = _entry(raw, PROVIDER_FIELDS, f"provider {_name_of(raw, where)}")
    kind = KINDS[entry["kind"]]
    entry["base_url"] = (entry["base_url"] or kind.base_url).rstrip("/")
    return entry


def _known(raw: Any, known: Mapping[tuple[str, str], Entry]) -> Entry | None:
    """Return the known route that `raw` is the same as."""
    if not known or not isinstance(raw, Mapping):
        return None
    found = known.get((raw.get("name", ""), raw.get("team", "")))
    return found if found == raw else None


def _route(raw: Any, where: str) -> Entry:
    where = f"route {_name_of(raw, where)}"
    entry = _entry(raw, ROUTE_FIELDS, where)
    _judge(where, rules.check_alias, entry["name"], entry["alias_of"])
    if entry["alias_of"] and entry["targets"]:
        raise DocumentError(f"{where}: {rules.NO_TARGETS_OF_ITS_OWN}")
    entry["targets"] = [
        _target(each, entry["name"], f"{where}, target {n}") for n, each in enumerate(entry["targets"], 1)
    ]
    return entry


def _target(raw: Any, route: str, where: str) -> Entry:
    entry = _entry(raw, TARGET_FIELDS, where)
    _judge(where, rules.check_target_model, route, entry["model"])
    _judge(where, rules.check_shares, entry["share"], entry["shadow"])
    return entry


def _judge(where: str, check: Callable[..., None], *args: Any) -> None:
    try:
        check(*args)
    except ValueError as error:
        raise DocumentError(f"{where}: {error}") from None


def _entry(raw: Any, fields: Mapping[str, Field], where: str) -> Entry:
    if not isinstance(raw, Mapping):
        raise DocumentError(f"{where} is not a mapping")
    _refuse_unknown(raw, fields, where)
    entry = {}
    for name, reader in fields.items():
        value = raw.get(name, reader.default)
        if value is reader.default and reader.settled:
            entry[name] = value
            continue
        try:
            entry[name] = reader.read(value)
        except ValueError as error:
            raise DocumentError(f"{where}: {name}: {error}") from None
    return entry


def _refuse_unknown(raw: Mapping[Any, Any], known: Iterable[str], where: str) -> None:
    unknown = [str(name) for name in raw if name not in known]
    if unknown:
        raise DocumentError(f"{where} has a field that is not known: {', '.join(sorted(unknown))}")


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


def _sorted_by_name(entries: list[Entry], what: str) -> list[Entry]:
    names = [label(entry) for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DocumentError(f"{what} has {twice[0]!r} twice")
    return sorted(entries, key=lambda entry: (str(entry["name"]), str(entry.get("team", ""))))


PROVIDER_FIELDS: dict[str, Field] = {
    "name": Field(readers.name(rules.check_provider_name)),
    "kind": Field(readers.kind),
    "base_url": Field(readers.text, ""),
    "credential": Field(readers.credential, STORED),
    "free": Field(readers.flag, False),
    "allow_private": Field(readers.flag, False),
    "allow_insecure": Field(readers.flag, False),
    "by_name": Field(readers.flag, False),
    "forward_authorization": Field(readers.flag, False),
    "enabled": Field(readers.flag, True),
    "connect_timeout": Field(readers.seconds),
    "first_byte_timeout": Field(readers.seconds),
    "idle_timeout": Field(readers.seconds),
    "total_timeout": Field(readers.seconds),
    "note": Field(readers.text, ""),
}
ROUTE_FIELDS: dict[str, Field] = {
    "name": Field(readers.name(rules.check_route_name)),
    "team": Field(readers.checked(rules.check_team), ""),
    "enabled": Field(readers.flag, True),
    "alias_of": Field(readers.checked(rules.check_route_name), ""),
    "default": Field(readers.flag, False),
    "strategy": Field(readers.word(rules.STRATEGIES), rules.WEIGHTED),
    "sticky": Field(readers.checked(rules.check_sticky), ""),
    "retries": Field(lambda value: readers.whole_or_none(value, rules.MAX_RETRIES)),
    "cache_ttl": Field(lambda value: readers.whole_or_none(value, rules.MAX_CACHE_TTL)),
    "answer_as_asked": Field(readers.flag, False),
    "description": Field(readers.text, ""),
    "targets": Field(readers.targets, []),
}
TARGET_FIELDS: dict[str, Field] = {
    "provider": Field(readers.name(rules.check_provider_name)),
    "model": Field(readers.text, ""),
    "tier": Field(lambda value: readers.whole(value, rules.MAX_TIER), 0),
    "weight": Field(lambda value: readers.whole(value, rules.MAX_WEIGHT), 1),
    "enabled": Field(readers.flag, True),
    "streaming": Field(readers.word(rules.CONDITIONS), rules.ANY),
    "tools": Field(readers.word(rules.CONDITIONS), rules.ANY),
    "images": Field(readers.word(rules.CONDITIONS), rules.ANY),
    "json_schema": Field(readers.word(rules.CONDITIONS), rules.ANY),
    "max_context": Field(lambda value: readers.whole_or_none(value, rules.MAX_CONTEXT)),
    "tag": Field(readers.checked(rules.check_tag), ""),
    "share": Field(readers.percent),
    "shadow": Field(readers.percent),
    "connect_timeout": Field(readers.seconds),
    "first_byte_timeout": Field(readers.seconds),
    "idle_timeout": Field(readers.seconds),
    "total_timeout": Field(readers.seconds),
}
