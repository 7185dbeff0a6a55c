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
    given = asked.body["messages"]
    messages = [_cleaned(message) for message in given]
    if all(mine is theirs for mine, theirs in zip(messages, given, strict=True)):
        return asked
    kept = [message for message in messages if message["content"] != []]
    raw = with_value(asked.raw, asked.body, "messages", kept)
    return replace(asked, raw=raw, body=asked.body | {"messages": kept})


def _cleaned(message: Json) -> Json:
    """Return the same message where there is nothing foreign in it."""
    blocks = message["content"]
    if type(blocks) is not list or not blocks:
        return message
    kept = [cleaned for block in blocks if (cleaned := _block(block)) is not None]
    same = len(kept) == len(blocks) and all(mine is theirs for mine, theirs in zip(kept, blocks, strict=True))
    return message if same else message | {"content": kept}


def _block(block: Json) -> Json | None:
    """Return a block as Anthropic takes it, None for a thought that it would not accept as its own."""
    kind = block.get("type")
    if kind == "thinking" and not block.get("signature"):
        return None
    name = _ID.get(kind) if type(kind) is str else None
    return block if name is None else _tool(block, name)


def _tool(block: Json, name: str) -> Json:
    known: Any = block.get(name)
    if OURS in block:
        block = {member: value for member, value in block.items() if member != OURS}
    if type(known) is str and known and (wire := wire_id(known)) != known:
        block = block | {name: wire}
    return block
