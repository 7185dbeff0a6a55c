"""The data of genai-prices (MIT, https://github.com/pydantic/genai-prices), as its feed has it: a list of providers.

Sums are priced there as here: a tier holds for the whole answer above its start, a variant replaces what it names. What
has no word here is left out and named: times of day, and models that are only matched by what they contain.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from accounts.pricelists.offers import BEGINNING, List, NoAmount, Offer, per_million, usable
from accounts.rates import Service, Tier

KINDS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "gemini",
    "groq": "groq",
    "azure": "azure-openai",
}
# Our class, and how many of the list's unit make a million.
CLASSES = {
    "input_mtok": ("input", 1),
    "cache_read_mtok": ("cached_input", 1),
    "cache_write_mtok": ("cache_write", 1),
    "cache_write_5m_mtok": ("cache_write", 1),
    "cache_write_1h_mtok": ("cache_write_1h", 1),
    "output_mtok": ("output", 1),
    "output_reasoning_mtok": ("reasoning", 1),
    "input_audio_mtok": ("audio_input", 1),
    "cache_audio_read_mtok": ("cached_audio", 1),
    "output_audio_mtok": ("audio_output", 1),
    "input_image_mtok": ("image_input", 1),
    "cache_image_read_mtok": ("cached_image", 1),
    "output_image_mtok": ("image_output", 1),
    "requests_kcount": ("requests", 1000),
    "web_searches_kcount": ("searches", 1000),
}
DATED = re.compile(r"\^([a-z0-9\\._:/-]+?)-\\d\{4\}-\\d\{2\}-\\d\{2\}\$")
Scale = tuple[dict[str, int], tuple[Tier, ...]]


def is_genai(document: Any) -> bool:
    return isinstance(document, list) and bool(document) and all(isinstance(each, dict) for each in document)


def read(document: list[dict[str, Any]], version: str = "") -> List:
    """Return the offers of the kinds of provider that are known here."""
    offers: dict[tuple[str, str, datetime | None], Offer] = {}
    unusable: list[str] = []
    for provider in document:
        kind = KINDS.get(str(provider.get("id")))
        listed = provider.get("models") if kind else None
        for model in listed if isinstance(listed, list) else ():
            if not isinstance(model, dict):
                unusable.append(f"{kind} {str(model)[:40]!r}: no model")
                continue
            try:
                found = list(_offers(str(kind), model))
            except (NoAmount, KeyError, TypeError, ValueError, AttributeError) as error:
                unusable.append(f"{kind} {model.get('id')}: {error}")
                continue
            if not found:
                unusable.append(f"{kind} {model.get('id')}: no price that can be told here")
            for offer in found:
                offers.setdefault((*offer.key, offer.effective_from), offer)
    source = f"genai-prices {version}".strip() + " (MIT), https://github.com/pydantic/genai-prices"
    listed = sorted(offers.values(), key=lambda each: (each.kind, each.model, each.effective_from or BEGINNING))
    return List("genai-prices", source, tuple(listed), tuple(unusable))


def _offers(kind: str, model: Mapping[str, Any]) -> Iterator[Offer]:
    names = [model["id"], *(name for name in _names(model.get("match") or {}) if name != model["id"])]
    prices = model.get("prices") or {}
    bases = prices if isinstance(prices, list) else [{"prices": prices}]
    dated = [(_begins(each), each["prices"]) for each in bases if not _by_the_hour(each)]
    variants = [(_begins(each), each) for each in model.get("price_variants") or () if not _by_the_hour(each)]
    for begins in sorted({when for when, _ in (*dated, *variants)}):
        in_force = [price for when, price in dated if when <= begins]
        if not in_force:
            continue
        amounts, tiers = _scale(in_force[-1])
        services = dict(_services([each for when, each in variants if when <= begins]))
        for name in names:
            offer = Offer(kind, name, begins, amounts, tiers, services)
            if usable(offer):
                yield offer


def _names(match: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names and beginnings that a clause means, as far as those can tell it."""
    for clause in match.get("or") or ():
        yield from _names(clause)
    if "equals" in match:
        yield match["equals"]
    if "starts_with" in match:
        yield match["starts_with"] + "*"
    if found := DATED.fullmatch(match.get("regex") or ""):
        yield found[1].replace("\\", "") + "-20*"


def _begins(each: Mapping[str, Any]) -> datetime:
    text = (each.get("constraint") or {}).get("start_date")
    if not text:
        return BEGINNING
    return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)


def _by_the_hour(each: Mapping[str, Any]) -> bool:
    return "start_time" in (each.get("constraint") or {})


def _scale(prices: Mapping[str, Any]) -> Scale:
    amounts: dict[str, int] = {}
    steps: dict[int, dict[str, int]] = {}
    for name, (unit, times) in CLASSES.items():
        value = prices.get(name)
        if value is None:
            continue
        base = value["base"] if isinstance(value, dict) else value
        amounts[unit] = per_million(base, times)
        for tier in value["tiers"] if isinstance(value, dict) else ():
            steps.setdefault(int(tier["start"]), {})[unit] = per_million(tier["price"], times)
    return amounts, tuple(Tier(above, steps[above]) for above in sorted(steps))


def _services(variants: list[Mapping[str, Any]]) -> Iterator[tuple[str, Service]]:
    for variant in variants:
        when = variant.get("when") or {}
        name = when.get("service_tier") or when.get("processing") or when.get("speed")
        if len(when) != 1 or not name:
            continue
        amounts, tiers = _scale(variant.get("prices") or {})
        if amounts:
            yield name, Service(amounts=amounts, tiers=tiers)
