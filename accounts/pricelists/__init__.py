"""Price lists of others: read as offers, compared with the price book. Plain.

Three forms are read: our own (`accounts/prices.json`), the data of genai-prices, and LiteLLM's `model_prices`. Amounts
are read as decimal text, never as floats.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from accounts.pricelists import additions, genai, litellm, own
from accounts.pricelists.offers import List, NotAList

READERS: dict[str, tuple[Callable[[Any], bool], Callable[[Any], List]]] = {
    "qlite": (own.is_own, own.read),
    "genai-prices": (genai.is_genai, lambda document: additions.completed(genai.read(document))),
    "litellm": (litellm.is_litellm, lambda document: additions.completed(litellm.read(document))),
}


def read(text: str) -> List:
    """Return the list that `text`, a JSON document, holds. Raises NotAList with a sentence."""
    try:
        document = json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NotAList(f"This is no JSON: {error}") from error
    for fits, reader in READERS.values():
        if fits(document):
            return reader(document)
    raise NotAList(
        "This is no price list that is known here: qlite's own, genai-prices' data or LiteLLM's model prices."
    )


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no amount")
