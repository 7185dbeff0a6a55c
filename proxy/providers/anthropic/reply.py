"""Anthropic's answer as an OpenAI chat completion."""

from typing import Any

import orjson

from proxy.body import Json
from proxy.errors import UpstreamError
from proxy.providers.anthropic import usage
from proxy.providers.anthropic.finish import openai_reason
from proxy.providers.legacy import is_legacy
from proxy.providers.names import callers_names

TIERS = {"standard": "default", "priority": "priority"}


def completion(body: Json, asked: Json, *, id: str, created: int) -> Json:
    """Return the chat completion that `body` amounts to. `asked` is the chat request, `id` for an answer without one.

    Raises UpstreamError (upstream_invalid_response) for what is no message.
    """
    blocks = body.get("content")
    if not isinstance(blocks, list):
        raise no_message()
    legacy = is_legacy(asked)
    message = _message([each for each in blocks if isinstance(each, dict)], callers_names(asked))
    message["refusal"] = refusal(body)
    called = bool(message.get("tool_calls"))
    if legacy and called:
        message["function_call"] = message.pop("tool_calls")[0]["function"]
    reason = openai_reason(body.get("stop_reason"), called=called, legacy=legacy)
    answer: Json = {
        "id": _text(body, "id") or id,
        "object": "chat.completion",
        "created": created,
        "model": _text(body, "model") or asked.get("model"),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
    }
    reported = body.get("usage")
    if (used := usage.parse(reported)) is not None:
        answer["usage"] = usage.as_openai(used)
    tier = TIERS.get(_text(reported, "service_tier")) if isinstance(reported, dict) else None
    return answer | {"service_tier": tier} if tier else answer


def refusal(said: Json) -> str | None:
    """Return why the model would not answer, where a message or a delta of one says so."""
    details = said.get("stop_details")
    return _text(details, "explanation") or None if isinstance(details, dict) else None


def _message(blocks: list[Json], names: dict[str, str]) -> Json:
    """Return the message in `blocks`. What a provider's own tools did is not the caller's, so it is left out."""
    texts = [_text(each, "text") for each in blocks if each.get("type") == "text"]
    message: Json = {"role": "assistant", "content": "".join(texts) or None}
    thoughts = "".join(_text(each, "thinking") for each in blocks if each.get("type") == "thinking")
    if thoughts:
        message["reasoning_content"] = thoughts
    if kept := [block for each in blocks if (block := kept_thought(each)) is not None]:
        message["thinking_blocks"] = kept
    calls = [_call(each, names) for each in blocks if each.get("type") == "tool_use"]
    if calls:
        message["tool_calls"] = calls
    return message


def kept_thought(block: Json) -> Json | None:
    """Return a thinking block as the caller has to send it back for the next turn, None for any other block."""
    kind = block.get("type")
    if kind == "thinking" and _text(block, "signature"):
        return {"type": kind, "thinking": _text(block, "thinking"), "signature": block["signature"]}
    if kind == "redacted_thinking" and _text(block, "data"):
        return {"type": kind, "data": block["data"]}
    return None


def _call(block: Json, names: dict[str, str]) -> Json:
    name = _text(block, "name")
    function = {"name": names.get(name, name), "arguments": arguments(block.get("input"))}
    return {"id": _text(block, "id"), "type": "function", "function": function}


def arguments(value: Any) -> str:
    """Return a call's input as the text that OpenAI has for it: "{}" for none at all."""
    try:
        return orjson.dumps(value).decode() if value else "{}"
    except TypeError:  # nested deeper than can be written
        raise no_message() from None


def no_message() -> UpstreamError:
    return UpstreamError("The provider's answer is not a message.", code="upstream_invalid_response", billable=True)


def _text(holder: Json, name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""
