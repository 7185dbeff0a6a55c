"""Usage as Anthropic reports it, as disjoint classes: its input leaves out what the cache read and wrote.

Source: Anthropic's Messages API reference, usage. The totals of `message_delta` replace those of `message_start`.
"""

from collections.abc import Mapping
from operator import add
from typing import Any, TypeGuard

from accounts.prices import Usage, tier_said
from proxy.body import Json

MAX_TOKENS = 10**12  # more than this in one answer is nonsense, not usage


def parse(reported: Any) -> Usage | None:
    """Return a usage object as disjoint classes; None if a number is missing, negative or nonsense."""
    if not isinstance(reported, dict):
        return None
    plain = _counts(reported)
    if plain is None:
        return None
    for each in _compactions(reported):
        more = _counts(each)
        if more is not None:
            plain = tuple(map(add, plain, more))
    sent, cached, briefly, long, made = plain
    thought = _thought(reported, made)
    fast = reported.get("speed") == "fast"  # beside the service tier, and dearer than any
    tier = "fast" if fast else tier_said(reported.get("service_tier"))
    return Usage(
        input=sent,
        cached_input=cached,
        cache_write=briefly,
        cache_write_1h=long,
        output=made - thought,
        reasoning=thought,
        searches=_searches(reported),
        service_tier=tier,
    )


def _counts(reported: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Return tokens sent, read from the cache, written to it for five minutes and for an hour, and made."""
    briefly, long = _written(reported)
    counts: tuple[Any, ...] = (
        reported.get("input_tokens"),
        reported.get("cache_read_input_tokens") or 0,
        briefly,
        long,
        reported.get("output_tokens"),
    )
    return counts if all(map(_is_count, counts)) else None


def _written(reported: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return what was written to the cache for five minutes and for an hour, which costs more."""
    total, by_time = reported.get("cache_creation_input_tokens"), reported.get("cache_creation")
    by_time = by_time if isinstance(by_time, dict) else {}
    briefly, long = (by_time.get(f"ephemeral_{time}_input_tokens") or 0 for time in ("5m", "1h"))
    if total is None:
        return briefly, long
    if not _is_count(total) or not _is_count(long) or long > total:
        return total, 0  # details only break the total down: where the two disagree, the total holds
    return total - long, long


def _searches(reported: Mapping[str, Any]) -> int:
    """Return how often the web was searched, which is billed beside the tokens."""
    tools = reported.get("server_tool_use")
    count = tools.get("web_search_requests") if isinstance(tools, dict) else 0
    return count if _is_count(count) else 0


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= MAX_TOKENS


def _compactions(reported: Mapping[str, Any]) -> list[Json]:
    """Return what summing up a long conversation took, which the totals leave out."""
    iterations = reported.get("iterations")
    listed = iterations if isinstance(iterations, list) else []
    return [each for each in listed if isinstance(each, dict) and each.get("type") == "compaction"]


def _thought(reported: Mapping[str, Any], made: int) -> int:
    """Return how much of the output was thinking. The total is what is billed, so a wrong part of it counts as none."""
    details = reported.get("output_tokens_details")
    thought = details.get("thinking_tokens") if isinstance(details, dict) else 0
    return thought if type(thought) is int and 0 <= thought <= made else 0


class Tally:
    """What one stream has reported: totals, so the last word on each count wins."""

    def __init__(self) -> None:
        self._reported: Json = {}

    def note(self, reported: Any) -> None:
        if isinstance(reported, dict):
            self._reported |= {name: count for name, count in reported.items() if count is not None}

    @property
    def usage(self) -> Usage | None:
        return parse(self._reported)


def as_openai(usage: Usage) -> Json:
    """Return `usage` as OpenAI's usage object, whose prompt includes what was cached."""
    sent, made = usage.tokens_in, usage.tokens_out
    shown: Json = {"prompt_tokens": sent, "completion_tokens": made, "total_tokens": sent + made}
    shown["prompt_tokens_details"] = {"cached_tokens": usage.tokens_cached, "cache_write_tokens": _kept(usage)}
    if usage.reasoning:
        shown["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return shown


def _kept(usage: Usage) -> int:
    return usage.cache_write + usage.cache_write_1h


def as_anthropic(usage: Usage) -> Json:
    """Return `usage` as Anthropic's usage object."""
    shown: Json = {
        "input_tokens": usage.input + usage.audio_input + usage.image_input,
        "cache_creation_input_tokens": _kept(usage),
        "cache_read_input_tokens": usage.tokens_cached,
        "output_tokens": usage.tokens_out,
    }
    if usage.reasoning:
        shown["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return shown
