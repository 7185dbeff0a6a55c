"""Where in a YAML text an entry stands, for sentences about it."""

from collections.abc import Iterator
from typing import Any

import yaml

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LISTS = {"providers": "provider", "routes": "route"}


def located(sentence: str, text: str) -> str:
    """Return `sentence` with the line of the entry that it begins with, such as `route 'chat', target 2: ...`.

    It comes back as it is where no entry is meant: `text` need not even be YAML.
    """
    if not sentence.startswith(tuple(_LISTS.values())):  # what may be nested too deep is not looked into
        return sentence
    found = [(len(name), line) for name, line in _entries(text) if sentence.startswith(name)]
    return f"line {max(found)[1]}: {sentence}" if found else sentence


def _entries(text: str) -> Iterator[tuple[str, int]]:
    """Yield how sentences name each provider, route and target, and its line, from 1."""
    for key, entries in _pairs(yaml.compose(text, Loader=_Loader)):
        for number, entry in enumerate(_items(entries) if key in _LISTS else (), 1):
            fields = dict(_pairs(entry))
            given = getattr(fields.get("name"), "value", "")
            for name in (f"{given!r}", f"{given}:", f"{given} (") if given else (f"number {number}",):
                yield f"{_LISTS[key]} {name}", _line(entry)
            for place, target in enumerate(_items(fields.get("targets")), 1):
                yield f"{_LISTS[key]} {given!r}, target {place}", _line(target)


def _pairs(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, yaml.MappingNode):
        yield from ((str(key.value), value) for key, value in node.value)


def _items(node: Any) -> list[Any]:
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1
