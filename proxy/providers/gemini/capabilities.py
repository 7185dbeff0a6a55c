"""What each model behind the Gemini API can do, and what to assume of one that the table does not know."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

_GENERATION = re.compile(r"gemini-(\d+)(?:\.(\d+))?(?=-|$)")
_LAST_WITH_MINIMAL = (3, 6)  # of the Flash models
_FIRST_WITHOUT_SAMPLING = (3, 6)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """`thinking`: "none", "budget" (asked for in tokens) or "level" (asked for by a word)."""

    thinking: str = "level"
    least_budget: int = 0  # tokens of thinking that cannot be turned off
    minimal_level: bool = False
    xhigh_level: bool = False
    sampling: bool = True  # False: temperature, topP and topK have no effect
    penalties: bool = True
    candidate_count: bool = False
    thought_signature_required: bool = True
    tools_with_schema: bool = True  # functions and a response schema in one request
    fetches_urls: bool = True  # reads public addresses itself
    media_in_results: bool = True  # pictures and files in the answers of functions
    prefill: bool = True  # goes on where the last turn of the model stops


# A Gemini that came after this table: what the newest cannot do is not asked of it.
NEWEST = Capabilities(penalties=False, prefill=False)
GENERATION_3 = Capabilities()
GENERATION_2 = Capabilities(
    thinking="budget",
    candidate_count=True,
    thought_signature_required=False,
    tools_with_schema=False,
    media_in_results=False,
)
BEFORE_THINKING = replace(GENERATION_2, thinking="none", fetches_urls=False)


def _generation(name: str) -> Capabilities:
    """Return what is assumed of a model by the number in its name."""
    found = _GENERATION.match(name)
    if found is None:
        return NEWEST
    version = (int(found[1]), int(found[2] or 0))
    if version >= (4, 0):
        return NEWEST
    if version >= (3, 0):
        minimal = "flash" in name and version <= _LAST_WITH_MINIMAL
        return replace(GENERATION_3, minimal_level=minimal, sampling=version < _FIRST_WITHOUT_SAMPLING)
    if version < (2, 5):
        return BEFORE_THINKING
    return replace(GENERATION_2, least_budget=128) if "pro" in name else GENERATION_2


def _load(raw: bytes) -> dict[str, Capabilities]:
    """Return the table: what a model's row leaves open is assumed by its generation."""
    table: dict[str, Any] = orjson.loads(raw)
    del table["_about"]
    return {
        name: replace(
            _generation(name) if _GENERATION.match(name) else GENERATION_3,
            **{flag: value for flag, value in flags.items() if value is not None},
        )
        for name, flags in table.items()
    }


_TABLE = _load(Path(__file__).with_name("capabilities.json").read_bytes())
_LONGEST_FIRST = sorted(_TABLE, key=len, reverse=True)


@lru_cache(maxsize=256)
def of(model: str) -> Capabilities:
    """Return what `model`, an upstream name with or without a version or date, can do."""
    name = model.rpartition("/")[2]
    for known in _LONGEST_FIRST:
        if name == known or name.startswith(f"{known}-"):
            return _TABLE[known]
    return _generation(name)
