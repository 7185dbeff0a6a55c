"""Names of tools: Anthropic takes letters, digits, _ and -; others are rewritten and turned back in the answer."""

import hashlib
import re
from typing import Any

from proxy.body import Json

NAME_LIMIT = 128
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_NOT_NAME = re.compile(r"[^a-zA-Z0-9_-]")


def wire_name(asked: str) -> str:
    """Return a tool's name as Anthropic takes it: the same one where it may, else one that stands for it alone."""
    if _NAME.fullmatch(asked):
        return asked
    mark = hashlib.sha256(asked.encode()).hexdigest()[:8]
    return f"{_NOT_NAME.sub('_', asked)[: NAME_LIMIT - 9]}_{mark}"


def callers_names(body: Json) -> dict[str, str]:
    """Return the caller's names of the tools in a chat request by their names on the wire, where they differ."""
    found = {}
    for function in _functions(body):
        name = function.get("name")
        if isinstance(name, str) and (wire := wire_name(name)) != name:
            found[wire] = name
    return found


def _functions(body: Json) -> list[Json]:
    listed: list[Any] = [tool.get("function") for tool in body.get("tools") or [] if isinstance(tool, dict)]
    return [each for each in (*listed, *(body.get("functions") or [])) if isinstance(each, dict)]
