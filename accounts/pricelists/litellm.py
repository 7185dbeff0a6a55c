"""LiteLLM's `model_prices_and_context_window.json` (MIT): one object by model, USD per unit, tiers in the names."""

import re
from collections.abc import Mapping
from typing import Any

from accounts.pricelists.offers import List, NoAmount, NoName, Offer, per_million, usable
from accounts.rates import Service, Tier

KINDS = {"openai": "openai", "anthropic": "anthropic", "gemini": "gemini", "groq": "groq", "azure": "azure-openai"}
MILLION = 10**6
CLASSES = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "cached_input",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "audio_input",
    "cache_read_input_audio_token_cost": "cached_audio",
    "output_cost_per_audio_token": "audio_output",
    "input_cost_per_image_token": "image_input",
    "cache_read_input_image_token_cost": "cached_image",
    "output_cost_per_image_token": "image_output",
    "input_cost_per_second": "seconds",
    "input_cost_per_character": "characters",
    "input_cost_per_request": "requests",
}
SERVICES = {"batches": "batch", "flex": "flex", "priority": "priority"}
NAME = re.compile(
    r"(?P<base>[a-z_]+?(?:_above_1hr)?)(?:_above_(?P<above>\d+)k_tokens)?(?:_(?P<tier>batches|flex|priority))?"
)
SEARCH = ("search_context_size_low", "search_context_size_medium", "search_context_size_high")
Found = dict[str, dict[int, dict[str, int]]]  # by service tier and size of the prompt


def is_litellm(document: Any) -> bool:
    rows = document.values() if isinstance(document, dict) else ()
    return any(isinstance(each, dict) and "litellm_provider" in each for each in rows)


def read(document: Mapping[str, Any]) -> List:
    """Return the offers of the kinds of provider that are known here; they have no dates."""
    offers: dict[tuple[str, str], Offer] = {}
    unusable: list[str] = []
    for name, row in document.items():
        maker = row.get("litellm_provider") if isinstance(row, dict) else None
        kind = KINDS.get(maker) if isinstance(maker, str) else None
        if kind is None or name == "sample_spec":
            continue
        try:
            offer = _offer(kind, name.removeprefix(f"{maker}/"), row)
        except (NoAmount, NoName) as error:
            unusable.append(f"{kind} {name}: {error}")
            continue
        if usable(offer):
            offers.setdefault(offer.key, offer)
        else:
            unusable.append(f"{kind} {name}: no price that can be told here")
    source = "LiteLLM's model prices (MIT), https://github.com/BerriAI/litellm"
    return List("litellm", source, tuple(offers[key] for key in sorted(offers)), tuple(unusable))


def _offer(kind: str, model: str, row: Mapping[str, Any]) -> Offer:
    found: Found = {}
    for name, value in row.items():
        parts = NAME.fullmatch(name)
        unit = CLASSES.get(parts["base"]) if parts is not None else None
        if parts is None or unit is None or value is None:
            continue
        tier = SERVICES[parts["tier"]] if parts["tier"] else ""
        above = int(parts["above"]) * 1000 if parts["above"] else -1
        found.setdefault(tier, {}).setdefault(above, {})[unit] = per_million(value, MILLION)
    amounts, tiers = _scale(found.pop("", {}))
    if (search := _search(row)) is not None:
        amounts["searches"] = search
    services = {name: Service(amounts=own, tiers=own_tiers) for name, (own, own_tiers) in _scales(found).items() if own}
    return Offer(kind, model, None, amounts, tiers, services)


def _scales(found: Found) -> dict[str, tuple[dict[str, int], tuple[Tier, ...]]]:
    return {name: _scale(steps) for name, steps in found.items()}


def _scale(steps: dict[int, dict[str, int]]) -> tuple[dict[str, int], tuple[Tier, ...]]:
    tiers = tuple(Tier(above, steps[above]) for above in sorted(steps) if above >= 0)
    return dict(steps.get(-1, {})), tiers


def _search(row: Mapping[str, Any]) -> int | None:
    """Return what a search costs, where it costs the same whatever it looks at."""
    costs = row.get("search_context_cost_per_query")
    if not isinstance(costs, dict):
        return None
    amounts = {per_million(costs[size], MILLION) for size in SEARCH if costs.get(size) is not None}
    return amounts.pop() if len(amounts) == 1 else None
