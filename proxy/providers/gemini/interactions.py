"""What an answer of Google's Interactions API used: the counts of generateContent under other names.

Source: google-genai 3.4.0, interactions.Usage.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from accounts.prices import Usage, tier_said
from proxy.body import Json
from proxy.providers.gemini.grounding import billed
from proxy.providers.gemini.said import objects
from proxy.providers.gemini.usage import MAX_TOKENS, parse_usage

COUNTS = {
    "promptTokenCount": "total_input_tokens",
    "cachedContentTokenCount": "total_cached_tokens",
    "candidatesTokenCount": "total_output_tokens",
    "thoughtsTokenCount": "total_thought_tokens",
    "toolUsePromptTokenCount": "total_tool_use_tokens",
    "totalTokenCount": "total_tokens",
}
DETAILS = {
    "promptTokensDetails": "input_tokens_by_modality",
    "cacheTokensDetails": "cached_tokens_by_modality",
    "candidatesTokensDetails": "output_tokens_by_modality",
}


def usage_of(reported: Mapping[str, Any], interaction: Mapping[str, Any]) -> Usage | None:
    """Return the `usage` of an interaction as disjoint classes; None if a number is missing or nonsense."""
    told: Json = {name: reported.get(other) for name, other in COUNTS.items()}
    for name, other in DETAILS.items():
        told[name] = [_detail(each) for each in objects(reported.get(other))]
    usage = parse_usage(told)
    counts = [each.get("count") for each in objects(reported.get("grounding_tool_count")) if _searched(each)]
    searches = sum(each for each in counts if type(each) is int and 0 <= each <= MAX_TOKENS)
    if usage is None:
        return None
    tier = tier_said(interaction.get("service_tier"))
    return replace(usage, searches=billed(searches, interaction.get("model")), service_tier=tier)


def _detail(told: Json) -> Json:
    return {"modality": str(told.get("modality")).upper(), "tokenCount": told.get("tokens")}


def _searched(told: Json) -> bool:
    return told.get("type") == "google_search"
