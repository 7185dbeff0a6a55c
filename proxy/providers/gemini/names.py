"""Names of functions: Gemini wants a letter or _ first, OpenAI does not. What is changed on the way is changed back.

Source: Gemini API reference, FunctionDeclaration.name: letters, digits, _ . : - and at most 128 of them.
"""

import re
from collections.abc import Mapping
from typing import Any

from proxy.providers.gemini.said import objects

LIMIT = 128
_FINE = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_ODD = re.compile(r"[^A-Za-z0-9_.:-]")


def sent(name: str) -> str:
    """Return the name that Gemini is told for a function of the caller's."""
    if _FINE.fullmatch(name):
        return name
    clean = _ODD.sub("_", name)
    return (clean if clean[:1].isalpha() or clean[:1] == "_" else f"_{clean}")[:LIMIT]


def changed(body: Mapping[str, Any]) -> dict[str, str]:
    """Return the caller's own names of a request's functions, by the names that Gemini was told instead."""
    functions = [tool.get("function") for tool in objects(body.get("tools"))] + objects(body.get("functions"))
    names = [each["name"] for each in functions if isinstance(each, dict) and isinstance(each.get("name"), str)]
    return {sent(name): name for name in names if sent(name) != name}
