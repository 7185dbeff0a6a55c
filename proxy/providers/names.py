"""Names of functions: Anthropic and OpenAI take letters, digits, _ and -. What is changed on the way is changed back.

Source: Anthropic's API reference, at most 128 of them; OpenAI's, at most 64.
"""

import hashlib
import re
from typing import Any

from proxy.body import Json

ANTHROPIC, OPENAI = 128, 64  # characters
_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_NOT_NAME = re.compile(r"[^a-zA-Z0-9_-]")


def wire_name(asked: str, limit: int = ANTHROPIC) -> str:
    """Return a tool's name as it may be: the same one where it is so, else one that stands for it alone."""
    if len(asked) <= limit and _NAME.fullmatch(asked):
        return asked
    mark = hashlib.sha256(asked.encode()).hexdigest()[:8]
    return f"{_NOT_NAME.sub('_', asked)[: limit - 9]}_{mark}"


def callers_names(body: Json, limit: int = ANTHROPIC) -> dict[str, str]:
    """Return the caller's names of the tools in a chat request by their names on the wire, where they differ."""
    found = {}
    for function in _functions(body):
        name = function.get("name")
        if isinstance(name, str) and (wire := wire_name(name, limit)) != name:
            found[wire] = name
    return found


def _functions(body: Json) -> list[Json]:
    listed: list[Any] = [tool.get("function") for tool in body.get("tools") or [] if isinstance(tool, dict)]
    return [each for each in (*listed, *(body.get("functions") or [])) if isinstance(each, dict)]
