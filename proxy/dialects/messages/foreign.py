"""What other providers left in a conversation, and Anthropic itself refuses: taken out before it goes there.

Thoughts that nobody signed, what a provider keeps with its calls, and ids of calls in letters that Anthropic does not
take: all of them were told by us, in answers of other providers.
"""

from dataclasses import replace
from typing import Any

from proxy.body import with_value
from proxy.dialects.base import Asked, Json
from proxy.providers.anthropic.conversation import wire_id

OURS = "extra_content"  # see outward: a signature that Google wants back with its call
_ID = {"tool_use": "id", "tool_result": "tool_use_id"}


def as_native(asked: Asked) -> Asked:
    """Return the request as Anthropic may see it. Where there is nothing foreign in it, its bytes pass."""
    messages = asked.body["messages"]
    if not any(map(_has_foreign, messages)):
        return asked
    cleaned = [_cleaned(message) if _has_foreign(message) else message for message in messages]
    kept = [message for message in cleaned if message["content"] != []]
    raw = with_value(asked.raw, asked.body, "messages", kept)
    return replace(asked, raw=raw, body=asked.body | {"messages": kept})


def _has_foreign(message: Json) -> bool:
    blocks = message["content"]
    return type(blocks) is list and any(map(_is_foreign, blocks))


def _is_foreign(block: Json) -> bool:
    kind = block.get("type")
    if kind == "thinking":
        return not block.get("signature")
    if kind == "tool_use":
        return OURS in block or _is_odd(block.get("id"))
    return kind == "tool_result" and _is_odd(block.get("tool_use_id"))


def _is_odd(called: Any) -> bool:
    """Say whether an id of a call is one that Anthropic does not take; one that is no id at all is its to judge."""
    return type(called) is str and called != "" and wire_id(called) != called


def _cleaned(message: Json) -> Json:
    blocks = [block for block in message["content"] if not (block.get("type") == "thinking" and _is_foreign(block))]
    return message | {"content": [_told(block) if _is_foreign(block) else block for block in blocks]}


def _told(block: Json) -> Json:
    """Return a call, or what it brought, as Anthropic takes it."""
    name = _ID[block["type"]]
    told = {member: value for member, value in block.items() if member != OURS}
    return told | {name: wire_id(told[name])} if _is_odd(told.get(name)) else told
