"""What Gemini says an answer used, as disjoint classes and as OpenAI says it.

Source: Gemini API reference, UsageMetadata. promptTokenCount holds the cached tokens; thoughts are beside the
candidates, except on Vertex AI, where a total that adds up without them shows that they are inside.
"""

from collections.abc import Mapping
from typing import Any

from accounts.prices import Usage, tier_said
from proxy.body import Json

MAX_TOKENS = 10**12  # more than this in one answer is nonsense, not usage
AUDIO = "AUDIO"
KINDS = (AUDIO, "IMAGE")


def parse_usage(reported: Any) -> Usage | None:
    """Return `usageMetadata` as disjoint classes; None if it is missing or a number is negative or nonsense."""
    if not isinstance(reported, dict) or reported.get("promptTokenCount") is None:
        return None
    try:
        return _disjoint(reported)
    except ValueError:
        return None


def _disjoint(reported: Mapping[str, Any]) -> Usage:
    prompt, cached = _count(reported, "promptTokenCount"), _count(reported, "cachedContentTokenCount")
    tools, made = _count(reported, "toolUsePromptTokenCount"), _count(reported, "candidatesTokenCount")
    thoughts, total = _count(reported, "thoughtsTokenCount"), _count(reported, "totalTokenCount")
    if cached > prompt:
        raise ValueError("more cached tokens than sent")
    if thoughts and thoughts <= made and total in (prompt + made, prompt + made + tools):
        made -= thoughts
    # Details only break the counts down: where the two disagree, the counts hold.
    heard, seen = (_of(reported, "promptTokensDetails", kind) for kind in KINDS)
    cached_audio, cached_image = (_of(reported, "cacheTokensDetails", kind) for kind in KINDS)
    # What the rest of the prompt has no room for has come from the cache, if nobody says so too.
    cached_audio = min(max(cached_audio, heard - (prompt - cached)), cached)
    heard = min(max(heard - cached_audio, 0), prompt - cached)
    cached_image = min(max(cached_image, seen - (prompt - cached - heard)), cached - cached_audio)
    seen = min(max(seen - cached_image, 0), prompt - cached - heard)
    spoken, drawn = (_of(reported, "candidatesTokensDetails", kind) for kind in KINDS)
    spoken = min(spoken, made)
    drawn = min(drawn, made - spoken)
    return Usage(
        input=prompt - cached - heard - seen + tools,
        cached_input=cached - cached_audio - cached_image,
        output=made - spoken - drawn,
        reasoning=thoughts,
        audio_input=heard,
        audio_output=spoken,
        image_input=seen,
        image_output=drawn,
        cached_audio=cached_audio,
        cached_image=cached_image,
        service_tier=tier_said(reported.get("serviceTier")),
    )


def _count(reported: Mapping[str, Any], name: str) -> int:
    """Return a count, 0 where it is left out. Raises ValueError for what is none."""
    value = reported.get(name)
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value <= MAX_TOKENS:
        raise ValueError(f"{name} is not a count of tokens")
    return value


def _of(reported: Mapping[str, Any], name: str, kind: str) -> int:
    details = reported.get(name)
    items = [item for item in details if isinstance(item, dict)] if isinstance(details, list) else []
    return sum(_count(item, "tokenCount") for item in items if item.get("modality") == kind)


def as_openai(usage: Usage) -> Json:
    """Return OpenAI's usage object, which counts cached tokens inside the prompt and reasoning inside the answer."""
    return {
        "prompt_tokens": usage.tokens_in,
        "completion_tokens": usage.tokens_out,
        "total_tokens": usage.tokens_in + usage.tokens_out,
        "prompt_tokens_details": {
            "cached_tokens": usage.tokens_cached,
            "audio_tokens": usage.audio_input + usage.cached_audio,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": usage.audio_output},
    }


def as_gemini(usage: Usage) -> Json:
    """Return Gemini's usageMetadata, whose candidates leave out the thoughts; classes without tokens are left out."""
    told = {
        "promptTokenCount": usage.tokens_in,
        "candidatesTokenCount": usage.tokens_out - usage.reasoning,
        "totalTokenCount": usage.tokens_in + usage.tokens_out,
    }
    optional = {"cachedContentTokenCount": usage.tokens_cached, "thoughtsTokenCount": usage.reasoning}
    told |= {name: count for name, count in optional.items() if count}
    return (
        told
        | _details("promptTokensDetails", usage.tokens_in, usage.audio_input + usage.cached_audio)
        | _details("cacheTokensDetails", usage.tokens_cached, usage.cached_audio)
        | _details("candidatesTokensDetails", usage.tokens_out - usage.reasoning, usage.audio_output)
    )


def _details(name: str, total: int, audio: int) -> Json:
    """Return how many tokens were sound, where there was any."""
    counts = (("TEXT", total - audio), (AUDIO, audio))
    return {name: [{"modality": kind, "tokenCount": count} for kind, count in counts if count]} if audio else {}
