"""Usage wherever an answer has it, whatever the operation: OpenAI's, Anthropic's and Gemini's words for it."""

from collections.abc import Mapping
from typing import Any

import orjson

from accounts.prices import Usage
from proxy import sse
from proxy.dialects.responses.items import usage_of
from proxy.errors import StreamCut
from proxy.providers.anthropic import usage as anthropic
from proxy.providers.gemini import usage as gemini
from proxy.providers.openai import MAX_TOKENS, parse_usage

_ANTHROPIC = ("cache_read_input_tokens", "cache_creation_input_tokens", "server_tool_use", "service_tier")
# What a model was told and what it said, in any of the dialects; enough to guess tokens by.
_HEARD = frozenset({"text", "content", "input", "prompt", "instructions", "system", "messages", "contents", "parts"})
_HEARD_TOO = frozenset({"systemInstruction", "system_instruction", "output", "tools", "arguments", "role"})
_SAID = frozenset({"content", "text", "thinking", "partial_json", "reasoning_content", "reasoning", "refusal", "delta"})
_SAID_TOO = frozenset({"choices", "message", "candidates", "parts", "tool_calls", "function", "arguments", "args"})
_DEEPEST = 20


def reported(body: Any) -> Usage | None:
    """Return the usage that an answer or event reports, in disjoint classes; None where it reports none or nonsense."""
    if not isinstance(body, dict):
        return None
    if "usageMetadata" in body:
        return gemini.parse_usage(body["usageMetadata"])
    for holder in (body, body.get("response"), body.get("message"), body.get("x_groq")):
        if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
            return _of(holder["usage"], holder)
    return None


def _of(said: Mapping[str, Any], holder: Mapping[str, Any]) -> Usage | None:
    if "prompt_tokens" in said:
        return parse_usage(said, holder.get("service_tier"))
    if any(name in said for name in _ANTHROPIC):
        return anthropic.parse(said)
    if "input_tokens" in said:
        # Transcriptions say "input_token_details" where Responses say "input_tokens_details".
        details = said.get("input_tokens_details") or said.get("input_token_details")
        tier = holder.get("service_tier")
        return usage_of({"usage": {**said, "input_tokens_details": details}, "service_tier": tier})
    total = said.get("total_tokens")
    return Usage(input=total) if type(total) is int and 0 <= total <= MAX_TOKENS else None


class Gleaner:
    """Watches a stream of unknown kind for usage. It has no word for the end, so the connection's end is the end."""

    ended = False
    error: StreamCut | None = None

    def __init__(self) -> None:
        self.usage: Usage | None = None

    def interesting(self, block: bytes) -> bool:
        return b'"usage' in block

    def feed(self, name: bytes, data: bytes) -> None:
        self.usage = reported(_loaded(data)) or self.usage

    def complete(self) -> bool:
        return True


def heard(body: Any) -> str:
    """Return the words of a request, in any dialect, for an estimate."""
    return "\n".join(_words(body, _HEARD | _HEARD_TOO, 0))


def said(blocks: list[bytes]) -> str:
    """Return the words of an answer, in any dialect, for an estimate: of a stream's events, or of a whole body."""
    whole = b"".join(blocks)
    if whole.lstrip()[:1] in (b"{", b"["):
        return "".join(_words(_loaded(whole), _SAID | _SAID_TOO | {"output"}, 0))
    events = [_loaded(data) for event in sse.events(whole) if (data := sse.data_of(event))]
    # What a `.done` event repeats was said by its deltas.
    fresh = [each for each in events if isinstance(each, dict) and not str(each.get("type", "")).endswith(_REPEATS)]
    return "".join(word for each in fresh for word in _words(each, _SAID | _SAID_TOO, 0))


_REPEATS = (".done", ".added", ".completed", ".created", ".in_progress", "_start", "_stop")


def _words(value: Any, names: frozenset[str], depth: int) -> list[str]:
    if isinstance(value, str):
        return [value]
    if depth > _DEEPEST:
        return []
    if isinstance(value, list):
        return [word for item in value for word in _words(item, names, depth + 1)]
    if isinstance(value, dict):
        return [word for name, item in value.items() if name in names for word in _words(item, names, depth + 1)]
    return []


def _loaded(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
