"""What OpenAI's chat had before there were tools: `functions`, `function_call`, and messages of functions."""

from collections.abc import Mapping
from typing import Any


def is_legacy(body: Mapping[str, Any]) -> bool:
    """Say whether the caller speaks of functions, so that a call has to be told as a `function_call`."""
    return bool(body.get("functions")) and not body.get("tools")


def choice_of(body: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the choice among the tools in today's words, and the parameter that it was made in."""
    asked = body.get("function_call")
    if body.get("tool_choice") is not None or asked is None:
        return body.get("tool_choice"), "tool_choice"
    return ({"type": "function", "function": asked} if type(asked) is dict else asked), "function_call"
