"""Members inside a Responses request that have no counterpart in chat and are left out: named, so that callers know."""

from collections.abc import Iterator
from typing import Any

from proxy.dialects.responses.state import objects
from proxy.dialects.responses.tools import HINTS

Json = dict[str, Any]
# What is said again in chat, and what only says where an item comes from. Source: the types of OpenAI's SDK 3.52.
_ITEM = frozenset(
    (
        *("type", "id", "status", "role", "content", "phase", "call_id", "name", "namespace", "arguments", "input"),
        *("output", "tools", "execution", "summary", "encrypted_content", "caller"),
    )
)
_PART = frozenset(
    (
        *("type", "text", "refusal", "detail", "image_url", "file_id", "file_url", "file_data", "filename"),
        *("input_audio", "prompt_cache_breakpoint", "annotations", "logprobs"),
    )
)
# Hints of tools are named by the toolbox.
_TOOL = frozenset({"type", "name", "description", "parameters", "strict", "format", "tools", *HINTS})
_TEXT, _FORMAT = frozenset({"format", "verbosity"}), frozenset({"type", "name", "schema", "strict", "description"})
_REASONING = frozenset({"effort", "summary", "generate_summary", "context", "mode"})


def names(body: Json, left_out: frozenset[str]) -> Iterator[str]:
    """Yield what nobody knows, in items but those of the kinds in `left_out`, in tools and in the rest."""
    items = body.get("input")
    for item in items if isinstance(items, list) else ():
        if item.get("type") in left_out:
            continue
        yield from _beyond(item, _ITEM, "input")
        for name in ("content", "output"):
            for part in objects(item.get(name)):
                yield from _beyond(part, _PART, f"input.{name}")
    for tool in objects(body.get("tools")):
        if tool.get("type") in ("function", "custom", "namespace"):
            yield from _beyond(tool, _TOOL, "tools")
            for inner in objects(tool.get("tools")):
                yield from _beyond(inner, _TOOL, "tools.tools")
    text = body.get("text") or {}
    yield from _beyond(text, _TEXT, "text")
    yield from _beyond(text.get("format") or {}, _FORMAT, "text.format")
    yield from _beyond(body.get("reasoning") or {}, _REASONING, "reasoning")


def _beyond(holder: Json, known: frozenset[str], path: str) -> Iterator[str]:
    return (f"{path}.{name}"[:64] for name in sorted(holder.keys() - known) if holder[name] not in (None, False))
