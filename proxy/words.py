"""What was said and heard in a request or an answer, whichever dialect it is in: for estimates where nobody counted."""

import json
from typing import Any

import orjson

# Where the words of a request stand, and those of an answer. What is not listed is form, or base64.
_HEARD = frozenset({"text", "content", "input", "prompt", "instructions", "system", "messages", "contents", "parts"})
_HEARD_TOO = frozenset({"systemInstruction", "system_instruction", "output", "arguments", "role", "requests"})
_SAID = frozenset({"content", "text", "thinking", "partial_json", "reasoning_content", "reasoning", "refusal", "delta"})
_SAID_TOO = frozenset({"choices", "message", "candidates", "parts", "tool_calls", "function", "functionCall", "output"})
_ARGUMENTS = frozenset({"args", "arguments", "input"})  # of a call: data with any names, taken as it is
_OFFERED = frozenset({"tools", "query", "documents"})
_REPEATS = (".done", ".added", ".completed", ".incomplete", ".created", ".in_progress", "_start", "_stop")
_DEEPEST = 20
_DECODER = json.JSONDecoder()


def heard(body: Any) -> str:
    """Return the words of a request."""
    return "\n".join(_words(body, _HEARD | _HEARD_TOO | _ARGUMENTS | _OFFERED, 0))


def tokens_given(body: dict[str, Any]) -> int:
    """Return how many tokens a request brings as numbers: completions and embeddings take them in place of text."""
    return sum(_numbers(body.get(name)) for name in ("prompt", "input"))


def said(event: dict[str, Any]) -> str:
    """Return the words of an answer, or of one event of a stream; nothing where that repeats what was said before."""
    if str(event.get("type", "")).endswith(_REPEATS):
        return ""
    return "".join(_words(event, _SAID | _SAID_TOO | _ARGUMENTS, 0))


def elements(raw: bytes) -> list[Any]:
    """Return the values in `raw`: one, or those of an array as far as it came."""
    text, place = raw.decode("utf-8", "replace"), 0
    found: list[Any] = []
    while True:
        while place < len(text) and text[place] in "[, \t\r\n":
            place += 1
        try:
            value, place = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            return found
        found.append(value)


def _words(value: Any, names: frozenset[str], depth: int) -> list[str]:
    if isinstance(value, str):
        return [value]
    if depth > _DEEPEST:
        return []
    if isinstance(value, list):
        return [word for item in value for word in _words(item, names, depth + 1)]
    if isinstance(value, dict):
        return [word for name in value if name in names for word in _of(name, value[name], names, depth + 1)]
    return []


def _of(name: str, value: Any, names: frozenset[str], depth: int) -> list[str]:
    if name == "tools" or (name in _ARGUMENTS and isinstance(value, dict)):
        return [orjson.dumps(value, default=str).decode()]
    return _words(value, names, depth)


def _numbers(value: Any) -> int:
    if type(value) is int:
        return 1
    return sum(map(_numbers, value)) if isinstance(value, list) else 0
