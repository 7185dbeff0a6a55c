"""OpenAI's chat dialect, which Groq, Ollama, vLLM and many others speak too: bytes pass through untouched.

Source: OpenAI API reference, chat completions; usage classes as in docs/api.md.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeGuard

import orjson

from accounts.prices import Usage, tier_said
from proxy.body import Json, with_value
from proxy.chat import Chat
from proxy.errors import UpstreamError, UpstreamRefused
from proxy.providers.base import Outgoing
from routing.snapshot import Provider, Target

MAX_TOKENS = 10**12  # more than this in one answer is nonsense, not usage
LONGEST_WAIT = 3600  # seconds of Retry-After that we pass on
BLAMES_REQUEST = frozenset({400, 413, 422})


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
        if target.model and target.model != chat.model:
            raw = with_value(raw, chat.body, "model", target.model)
        if chat.stream and not chat.wants_usage:
            options = (chat.body.get("stream_options") or {}) | {"include_usage": True}
            raw = with_value(raw, chat.body, "stream_options", options)
        return _outgoing(raw, target, "chat")

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
            extra = body.get("x_groq")
            reported = extra.get("usage") if isinstance(extra, dict) else None
        return parse_usage(reported, body.get("service_tier")) if isinstance(reported, dict) else None

    def error(self, status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamError:
        return translate_error(status, headers, body, target)


def _outgoing(raw: bytes, target: Target, operation: str) -> Outgoing:
    return Outgoing(target.provider.base_url.rstrip("/") + PATHS[operation], _headers(target.provider), raw)


def _headers(provider: Provider) -> tuple[tuple[str, str], ...]:
    if provider.secret:
        return ("content-type", "application/json"), ("authorization", f"Bearer {provider.secret}")
    return (("content-type", "application/json"),)


def parse_usage(reported: Mapping[str, Any], service_tier: Any = None) -> Usage | None:
    """Return OpenAI's usage object as disjoint classes; None if a number is missing, negative or nonsense.

    OpenAI counts cached and audio tokens inside prompt_tokens, reasoning and audio inside completion_tokens. Some who
    speak its dialect, xAI for one, count reasoning beside completion_tokens; the total gives them away.
    """
    prompt, completion = reported.get("prompt_tokens", -1), reported.get("completion_tokens", 0)
    sent = reported.get("prompt_tokens_details") or {}
    made = reported.get("completion_tokens_details") or {}
    if not isinstance(sent, dict) or not isinstance(made, dict):
        return None
    cached = sent.get("cached_tokens") or reported.get("prompt_cache_hit_tokens") or 0
    written = sent.get("cache_write_tokens") or 0
    heard, seen = sent.get("audio_tokens") or 0, sent.get("image_tokens") or 0
    spoken, drawn = made.get("audio_tokens") or 0, made.get("image_tokens") or 0
    reasoning = made.get("reasoning_tokens") or 0
    if not all(map(is_count, (prompt, completion, cached, written, heard, seen, spoken, drawn, reasoning))):
        return None
    plain_in = prompt - cached - written
    beside = reported.get("total_tokens") == prompt + completion + reasoning
    plain_out = completion - spoken - drawn - (0 if beside else reasoning)
    if plain_in < 0 or plain_out < 0 or heard + seen > prompt:
        return None
    # What was heard or seen may have come from the cache, and then is counted there.
    heard = min(heard, plain_in)
    seen = min(seen, plain_in - heard)
    return Usage(
        input=plain_in - heard - seen,
        cached_input=cached,
        cache_write=written,
        output=plain_out,
        reasoning=reasoning,
        audio_input=heard,
        audio_output=spoken,
        image_input=seen,
        image_output=drawn,
        service_tier=tier_said(service_tier),
    )


def is_count(value: Any) -> TypeGuard[int]:
    """Say whether `value` is a number of tokens, and no nonsense."""
    return type(value) is int and 0 <= value <= MAX_TOKENS


def translate_error(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamError:
    """Return what an OpenAI-shaped error answer means. Only the request's own faults keep the provider's words."""
    detail = _detail(body)
    name = target.provider.name
    said = _clean(detail.get("message"), target.provider)
    if status in BLAMES_REQUEST:
        refused = UpstreamRefused(
            said or f"{name} refused the request with status {status}.",
            status=status,
            param=_word(detail.get("param")),
            type=_word(detail.get("type")),
            upstream_status=status,
        )
        refused.code = _word(detail.get("code"))
        return refused
    wait = _retry_after(headers.get("retry-after"))
    code, reply = "upstream_error", 503 if status in {503, 529} else 502
    if status in {401, 403}:
        code, said = "upstream_auth_error", f"{name} did not accept the gateway's credential."
    elif status == 404:
        code, reply, said = "model_not_found", 404, f"{name} does not know the model of this target."
    elif status == 429:
        code, reply, said = "upstream_rate_limited", 429, f"{name} is limiting our rate of requests."
    elif 300 <= status < 400:
        code, said = "upstream_redirect", f"{name} answered with a redirect, which is never followed."
    else:
        said = f"{name} answered with status {status}."
    if reply in {429, 503} and wait is None:
        wait = 1
    return UpstreamError(said, status=reply, code=code, retry_after=wait, upstream_status=status)


def _detail(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(parsed, dict):
        return {}
    inner = parsed.get("error", parsed)
    return inner if isinstance(inner, dict) else {"message": inner}


def _word(value: Any) -> str | None:
    return value[:128] if isinstance(value, str) else None


def _clean(message: Any, provider: Provider) -> str:
    """Return the provider's message without our credential and address, which some providers echo."""
    cleaned = message if isinstance(message, str) else ""
    for private in (provider.secret, provider.base_url):
        if private:
            cleaned = cleaned.replace(private, "***")
    return cleaned


def _retry_after(value: str | None) -> int | None:
    """Return a Retry-After header in whole seconds, at most LONGEST_WAIT; None for garbage."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (when.astimezone(UTC) - datetime.now(UTC)).total_seconds()
    return int(min(max(seconds + 0.999, 1), LONGEST_WAIT)) if seconds == seconds else None
