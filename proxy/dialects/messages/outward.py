"""An OpenAI chat completion as a message of Anthropic's, and our errors in its shape."""

from typing import Any

import orjson

from proxy.dialects.base import Json
from proxy.errors import GatewayError
from proxy.providers.anthropic import usage
from proxy.providers.anthropic.finish import anthropic_reason
from proxy.providers.arguments import input_of
from proxy.providers.openai import parse_usage

ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
NOTHING = {"input_tokens": 0, "output_tokens": 0}


def message(completion: Json, asked: Json, spare: str = "") -> Json:
    """Return the message. `asked` is the caller's request, `spare` what its id is made of where a server gives none."""
    choices = completion.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    said = choice.get("message")
    said = said if isinstance(said, dict) else {}
    id = message_id(completion.get("id") or spare)
    calls = [call for call in _dicts(said.get("tool_calls")) if isinstance(call.get("function"), dict)]
    if not calls and isinstance(said.get("function_call"), dict):
        calls = [{"function": said["function_call"]}]
    reported = completion.get("usage")
    used = parse_usage(reported) if isinstance(reported, dict) else None
    return {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": _text(completion, "model") or asked.get("model"),
        "content": [*_thoughts(said), *_texts(said), *(_use(each, id, n) for n, each in enumerate(calls))],
        **stopped(choice.get("finish_reason"), bool(calls), _text(said, "refusal")),
        **_matched(choice, asked),
        "usage": usage.as_anthropic(used) if used is not None else NOTHING,
    }


def message_id(given: Any) -> str:
    """Return a message's id: the provider's own if it is one, else one made from the completion's."""
    known = given if isinstance(given, str) else ""
    return known if known.startswith("msg_") else f"msg_{known.removeprefix('chatcmpl-')}"


def stopped(reason: Any, called: bool, refused: str) -> Json:
    """Return why the answer ended, as a message and the delta of one say it."""
    said: Json = {"stop_reason": anthropic_reason(reason, called=called), "stop_sequence": None}
    if refused:
        said["stop_reason"] = "refusal"
        said["stop_details"] = {"type": "refusal", "category": None, "explanation": refused}
    return said


def _matched(choice: Json, asked: Json) -> Json:
    """Return the stop sequence that was met, where a provider tells (vLLM does, as `stop_reason`)."""
    met = choice.get("stop_reason")
    if choice.get("finish_reason") == "stop" and isinstance(met, str) and met in (asked.get("stop_sequences") or ()):
        return {"stop_reason": "stop_sequence", "stop_sequence": met}
    return {}


def _thoughts(said: Json) -> list[Json]:
    signed = _dicts(said.get("thinking_blocks"))
    if signed:
        return signed
    thought = _text(said, "reasoning_content") or _text(said, "reasoning")
    return [{"type": "thinking", "thinking": thought, "signature": ""}] if thought else []


def _texts(said: Json) -> list[Json]:
    content = said.get("content")
    texts = [_text(part, "text") for part in _dicts(content)] if isinstance(content, list) else [content or ""]
    texts.append(_text(said, "refusal"))
    return [{"type": "text", "text": text} for text in texts if isinstance(text, str) and text]


def _use(call: Json, id: str, number: int) -> Json:
    function = call["function"]
    block: Json = {"type": "tool_use", "id": _text(call, "id") or made_id(id, number), "name": _text(function, "name")}
    block["input"] = input_of(_text(function, "arguments"))
    extra = call.get("extra_content")  # kept for the provider, see blocks.assistant
    return block | {"extra_content": extra} if isinstance(extra, dict) else block


def made_id(message: str, number: int) -> str:
    """Return an id for a call that came without one."""
    return f"toolu_{message.removeprefix('msg_')[:40]}_{number}"


def error(error: GatewayError, request_id: str) -> Json:
    """Return the body of an error: {"type": "error", "error": {"type", "message"}}, with the id where it is known."""
    told: Json = {"type": "error", "error": error_object(error)}
    return told | {"request_id": request_id} if request_id else told


def error_object(error: GatewayError) -> Json:
    kind = ERROR_TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    if error.code == "insufficient_quota":
        kind = "billing_error"
    return {"type": kind, "message": error.message}


def event(name: str, data: Json) -> bytes:
    """Return one event of Anthropic's, which always has a name: its SDKs leave out those without."""
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps({"type": name} | data) + b"\n\n"


def _dicts(value: Any) -> list[Json]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(holder: Json, name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""
