"""Why an answer ended: Anthropic's reasons as OpenAI's, and back."""

from typing import Any

_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": "stop",
}
_BACK = {"length": "max_tokens", "content_filter": "refusal"}


def openai_reason(stop: Any, *, called: bool, legacy: bool) -> str:
    """Return OpenAI's finish reason. `called`: whether the answer holds a call; without one no tool was called."""
    reason = _REASONS.get(stop, "stop") if isinstance(stop, str) else "stop"
    if reason != "tool_calls":
        return reason
    if not called:
        return "stop"
    return "function_call" if legacy else reason


def anthropic_reason(reason: Any, *, called: bool) -> str:
    """Return Anthropic's stop reason. Some who speak OpenAI's dialect say `stop` after a call."""
    known = _BACK.get(reason) if isinstance(reason, str) else None
    return known or ("tool_use" if called else "end_turn")
