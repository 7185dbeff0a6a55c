"""Usage wherever an answer has it, whatever the operation: OpenAI's, Anthropic's and Gemini's words for it."""

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

import orjson

from accounts.prices import Usage
from proxy.dialects.responses.items import usage_of
from proxy.errors import StreamCut
from proxy.providers.anthropic import usage as anthropic
from proxy.providers.gemini import grounding, interactions
from proxy.providers.openai import is_count, parse_usage

_ANTHROPIC = ("cache_read_input_tokens", "cache_creation_input_tokens", "server_tool_use", "service_tier")


def reported(body: Any) -> Usage | None:
    """Return the usage that an answer or event reports, in disjoint classes; None where it reports none or nonsense."""
    if not isinstance(body, dict):
        return None
    if "usageMetadata" in body:
        return grounding.usage_of(body)
    for holder in (body, body.get("response"), body.get("message"), body.get("x_groq"), body.get("interaction")):
        if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
            return _of(holder["usage"], holder)
    return _searched(body) or _lasted(body.get("duration"))


def _searched(body: Mapping[str, Any]) -> Usage | None:
    """Return what Cohere and who speaks like it bill for ranking again."""
    meta = body.get("meta")
    units = meta.get("billed_units") if isinstance(meta, dict) else None
    count = units.get("search_units") if isinstance(units, dict) else None
    if isinstance(count, float) and count.is_integer():
        count = int(count)
    return Usage(searches=count) if is_count(count) else None


def _lasted(seconds: Any) -> Usage | None:
    """Return the length of what was heard, in whole seconds, begun ones too; some write it as text."""
    try:
        length = Decimal(str(seconds))
        whole = int(length.to_integral_value(ROUND_CEILING)) if length.is_finite() and length >= 0 else -1
    except ArithmeticError:
        return None
    return Usage(seconds=whole) if is_count(whole) else None


def _of(said: Mapping[str, Any], holder: Mapping[str, Any]) -> Usage | None:
    if said.get("type") == "duration":
        return _lasted(said.get("seconds"))
    if "prompt_tokens" in said:
        return parse_usage(said, holder.get("service_tier"))
    if "total_input_tokens" in said:
        return interactions.usage_of(said, holder)
    if any(name in said for name in _ANTHROPIC):
        return anthropic.parse(said)
    if "input_tokens" in said:
        # Transcriptions say "input_token_details" where Responses say "input_tokens_details".
        details = said.get("input_tokens_details") or said.get("input_token_details")
        told = {name: holder.get(name) for name in ("service_tier", "output")}
        return usage_of({"usage": {**said, "input_tokens_details": details}, **told})
    total = said.get("total_tokens")
    return Usage(input=total) if is_count(total) else None


class Gleaner:
    """Watches a stream of unknown kind for usage. It has no word for the end, so the connection's end is the end."""

    ended = False
    error: StreamCut | None = None

    def __init__(self) -> None:
        self.so_far: Usage | None = None
        self.answer: Any = None
        self._over = False

    @property
    def usage(self) -> Usage | None:
        return self.so_far if self._over else None

    def interesting(self, block: bytes) -> bool:
        return b'"usage' in block

    def feed(self, name: bytes, data: bytes) -> None:
        event = _loaded(data)
        if (usage := reported(event)) is not None:
            self.so_far, self.answer = usage, event.get("response")

    def complete(self) -> bool:
        self._over = True
        return True


def _loaded(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
