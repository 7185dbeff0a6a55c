"""What each model behind Anthropic's API can do, and what to assume of one that the table does not know."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

EFFORTS = ("low", "medium", "high", "xhigh", "max")
_DATE = re.compile(r"[-@](?:\d{8}|latest)$")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """`thinking`: "budget" (asked for in tokens), "adaptive" (asked for), "default" (unless told not to), "always"."""

    sampling: bool
    thinking: str
    effort: tuple[str, ...]
    forced_tools: bool
    prefill: bool
    system_turns: bool  # takes system messages in the middle of a conversation


# A Claude that came after this table: what the newest cannot do is not asked of it, so that it never refuses.
NEWEST = Capabilities(
    sampling=False, thinking="always", effort=EFFORTS, forced_tools=False, prefill=False, system_turns=False
)
# Models of other makers behind the same API: they follow its form of 2025.
OTHERS = Capabilities(sampling=True, thinking="budget", effort=(), forced_tools=True, prefill=True, system_turns=False)


def _load(raw: bytes) -> dict[str, Capabilities]:
    table: dict[str, Any] = orjson.loads(raw)
    del table["_about"]
    return {name: Capabilities(**flags | {"effort": tuple(flags["effort"])}) for name, flags in table.items()}


_TABLE = _load(Path(__file__).with_name("capabilities.json").read_bytes())


@lru_cache(maxsize=256)
def of(model: str) -> Capabilities:
    """Return what `model`, an upstream name with or without a date, can do."""
    name = _DATE.sub("", model.rpartition("/")[2])
    return _TABLE.get(name) or (NEWEST if "claude" in name else OTHERS)
