"""What translations keep in a chat's messages for the next turn, and providers who check every field would refuse."""

import re
from typing import Any

from proxy.body import Json, with_value

STRICT = frozenset({"openai", "azure-openai", "groq"})  # kinds that refuse a message with a field they do not know
FIELDS = frozenset({"reasoning_content", "thinking_blocks", "extra_content", "cache_control"})
FOREIGN = frozenset({"thinking_blocks", "cache_control"})  # means nothing to any provider but the one it is from
_MENTIONED = re.compile(rb'"(?:reasoning_content|thinking_blocks|extra_content|cache_control)"')


def left_out(raw: bytes, body: Json, fields: frozenset[str] = FIELDS) -> tuple[bytes, tuple[str, ...]]:
    """Return a chat request without `fields` in its messages and tools, and which of them there were."""
    if not _MENTIONED.search(raw):
        return raw, ()
    found: dict[str, None] = {}
    for key in ("messages", "tools"):
        listed = body.get(key)
        if isinstance(listed, list):
            cleaned = [_message(each, fields, found) for each in listed]
            if cleaned != listed:
                raw = with_value(raw, body, key, cleaned)
                body = body | {key: cleaned}
    return raw, tuple(found)


def _message(message: Any, fields: frozenset[str], found: dict[str, None]) -> Any:
    """Return one message or tool; its content's parts and its calls are looked at too."""
    kept = _without(message, fields, found)
    if isinstance(kept, dict):
        for name in ("content", "tool_calls"):
            if isinstance(kept.get(name), list):
                kept = kept | {name: [_without(each, fields, found) for each in kept[name]]}
    return kept


def _without(value: Any, fields: frozenset[str], found: dict[str, None]) -> Any:
    if not isinstance(value, dict) or fields.isdisjoint(value):
        return value
    found |= {name: None for name in value if name in fields}
    return {name: each for name, each in value.items() if name not in fields}
