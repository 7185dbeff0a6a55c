"""OpenAI's chat dialect, which Groq, Ollama, vLLM and many others speak too: bytes pass through untouched.

Source: OpenAI API reference, chat completions; usage classes as in docs/api.md.
"""

from collections.abc import Mapping
from typing import Any, TypeGuard

from accounts.prices import Usage, tier_said
from proxy.body import Json, with_value
from proxy.chat import Chat
from proxy.errors import StreamCut, UpstreamError
from proxy.providers import breaks, refusals
from proxy.providers.base import Outgoing
from proxy.providers.extensions import STRICT, left_out
from routing.values import Provider, Target

MAX_TOKENS = 10**12  # more than this in one answer is nonsense, not usage
PATHS = {
    "chat": "/chat/completions",
    "completions": "/completions",
    "embeddings": "/embeddings",
    "responses": "/responses",
}


class OpenAI:
    """OpenAI and all who speak like it. Nothing is translated: what has to be read is read, the rest passes."""

    dialect = "openai"

    def request(self, chat: Chat, target: Target) -> Outgoing:
        raw = chat.raw
        ignored: tuple[str, ...] = ()
        if target.model and target.model != chat.model:
            raw = with_value(raw, chat.body, "model", target.model)
        if chat.stream and not chat.wants_usage:
            options = (chat.body.get("stream_options") or {}) | {"include_usage": True}
            raw = with_value(raw, chat.body, "stream_options", options)
        if target.provider.kind in STRICT:
            raw, ignored = left_out(raw, chat.body)
        return _outgoing(raw, target, "chat", ignored)

    def native(self, raw: bytes, body: Json, target: Target, *, operation: str, stream: bool) -> Outgoing:
        if target.model and target.model != body.get("model"):
            raw = with_value(raw, body, "model", target.model)
        return _outgoing(raw, target, operation)

    def reply(self, body: Json, chat: Chat) -> Json:
        return body

    def stream(self, chat: Chat) -> None:
        return None

    def usage(self, body: Mapping[str, Any]) -> Usage | None:
        reported = body.get("usage")
        if not isinstance(reported, dict):
            reported = _elsewhere(body)
        return parse_usage(reported, body.get("service_tier")) if isinstance(reported, dict) else None

    def error(self, status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamError:
        return refusals.answered(status, headers, body, target)

    def fault(self, body: Json) -> StreamCut:
        return breaks.cut(body.get("error"))


def _outgoing(raw: bytes, target: Target, operation: str, ignored: tuple[str, ...] = ()) -> Outgoing:
    return Outgoing(target.provider.base_url.rstrip("/") + PATHS[operation], _headers(target.provider), raw, ignored)


def _headers(provider: Provider) -> tuple[tuple[str, str], ...]:
    if provider.secret:
        return ("content-type", "application/json"), ("authorization", f"Bearer {provider.secret}")
    return (("content-type", "application/json"),)


def _elsewhere(body: Mapping[str, Any]) -> Any:
    """Return what Groq puts into a member of its own, and Moonshot into the choice that a stream ends with."""
    choices = body.get("choices")
    for holder in (body.get("x_groq"), choices[0] if isinstance(choices, list) and choices else None):
        if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
            return holder["usage"]
    return None


def parse_usage(reported: Mapping[str, Any], service_tier: Any = None) -> Usage | None:
    """Return OpenAI's usage object as disjoint classes; None if a number is missing, negative or nonsense.

    OpenAI counts cached and audio tokens inside prompt_tokens, reasoning and audio inside completion_tokens. Some who
    speak its dialect count reasoning beside completion_tokens: xAI says how much, Google only in the total.
    """
    prompt, completion = reported.get("prompt_tokens", -1), reported.get("completion_tokens") or 0
    sent = reported.get("prompt_tokens_details") or {}
    made = reported.get("completion_tokens_details") or {}
    if not isinstance(sent, dict) or not isinstance(made, dict):
        return None
    cached = sent.get("cached_tokens") or reported.get("prompt_cache_hit_tokens") or reported.get("cached_tokens") or 0
    written = sent.get("cache_write_tokens") or 0
    heard, seen = sent.get("audio_tokens") or 0, sent.get("image_tokens") or 0
    spoken, drawn = made.get("audio_tokens") or 0, made.get("image_tokens") or 0
    reasoning = made.get("reasoning_tokens") or 0
    if not all(map(is_count, (prompt, completion, cached, written, heard, seen, spoken, drawn, reasoning))):
        return None
    if not (prompt or completion):
        return None  # there is no prompt without tokens: nobody has counted
    plain_in = prompt - cached - written
    beside = _beside(reported.get("total_tokens"), prompt + completion, reasoning)
    reasoning = reasoning or beside
    plain_out = completion - spoken - drawn - (reasoning - beside)
    if plain_in < 0 or plain_out < 0 or heard + seen > prompt:
        return None
    # Nobody says of which kind the cached tokens are: text, as far as the rest has room for what was heard and seen.
    cached_audio = min(max(0, heard - plain_in), cached)
    heard = min(heard, plain_in)
    cached_image = min(max(0, seen - (plain_in - heard)), cached - cached_audio)
    seen = min(seen, plain_in - heard)
    return Usage(
        input=plain_in - heard - seen,
        cached_input=cached - cached_audio - cached_image,
        cache_write=written,
        output=plain_out,
        reasoning=reasoning,
        audio_input=heard,
        audio_output=spoken,
        image_input=seen,
        image_output=drawn,
        cached_audio=cached_audio,
        cached_image=cached_image,
        service_tier=tier_said(service_tier),
    )


def _beside(total: Any, counted: int, reasoning: int) -> int:
    """Return how much reasoning stands beside completion_tokens: all that is known of, or what the total hides."""
    more = total - counted if is_count(total) else 0
    return more if more > 0 and reasoning in (0, more) else 0


def is_count(value: Any) -> TypeGuard[int]:
    """Say whether `value` is a number of tokens, and no nonsense."""
    return type(value) is int and 0 <= value <= MAX_TOKENS
