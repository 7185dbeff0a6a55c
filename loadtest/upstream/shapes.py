"""The bodies of an OpenAI-shaped provider: completions, chunks, tool calls, errors, the list of models."""

from collections.abc import Sequence
from typing import Any

import orjson

ID = "chatcmpl-mock0000000000000000000000000"
# Fixed, so that every answer to the same question has the same bytes and a load client can compare them.
CREATED = 1_760_000_000
PROMPT_TOKENS = 12
WORDS = (
    "Hello",
    " from",
    " the",
    " mock",
    " provider",
    ",",
    " which",
    " says",
    " the",
    " same",
    " every",
    " time",
    ".",
)
DONE = b"data: [DONE]\n\n"
TOOL_ARGUMENTS = ('{"ci', 'ty": "Par', 'is"}')


def words(count: int) -> list[str]:
    """The content of an answer of `count` chunks, chunk by chunk."""
    return [WORDS[at % len(WORDS)] for at in range(count)]


def usage(completion: int) -> dict[str, Any]:
    """Usage as OpenAI reports it for an answer of `completion` tokens."""
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": completion,
        "total_tokens": PROMPT_TOKENS + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def completion(model: str, message: dict[str, Any], finish: str, counted: dict[str, Any] | None) -> bytes:
    """A plain answer; `counted` is its usage, left out when None."""
    message = {"role": "assistant", "content": None, "refusal": None, "annotations": []} | message
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    answer: dict[str, Any] = _envelope("chat.completion", model, [choice])
    if counted is not None:
        answer["usage"] = counted
    return orjson.dumps(answer | {"service_tier": "default"})


def event(model: str, delta: dict[str, Any], finish: str | None = None, **extra: Any) -> bytes:
    """One chunk of a streamed answer as an SSE event."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return sse(_envelope("chat.completion.chunk", model, [choice]) | extra)


def usage_event(model: str, counted: dict[str, Any]) -> bytes:
    """The extra last chunk that a caller gets who asked for `include_usage`."""
    return sse(_envelope("chat.completion.chunk", model, []) | {"usage": counted})


def content_events(model: str, texts: Sequence[str], **extra: Any) -> list[bytes]:
    """One event for each text; the first also carries the role."""
    deltas: list[dict[str, Any]] = [{"content": text} for text in texts]
    if deltas:
        deltas[0] = {"role": "assistant", "refusal": None} | deltas[0]
    return [event(model, delta, **extra) for delta in deltas]


def tool_message() -> dict[str, Any]:
    """The message of a plain answer that calls one tool."""
    function = {"name": "get_weather", "arguments": "".join(TOOL_ARGUMENTS)}
    return {"tool_calls": [{"id": "call_mock", "type": "function", "function": function}]}


def tool_events(model: str) -> list[bytes]:
    """The same call streamed: name first, then its arguments in parts."""
    function = {"name": "get_weather", "arguments": ""}
    opening = {"index": 0, "id": "call_mock", "type": "function", "function": function}
    calls = [opening, *({"index": 0, "function": {"arguments": part}} for part in TOOL_ARGUMENTS)]
    deltas: list[dict[str, Any]] = [{"tool_calls": [call]} for call in calls]
    deltas[0] = {"role": "assistant", "content": None} | deltas[0]
    return [event(model, delta) for delta in deltas]


def error(message: str, kind: str, code: str | None, param: str | None = None) -> bytes:
    """An OpenAI error body."""
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}})


def model_list(names: Sequence[str]) -> bytes:
    """The answer to GET /v1/models."""
    data = [{"id": name, "object": "model", "created": CREATED, "owned_by": "mock"} for name in names]
    return orjson.dumps({"object": "list", "data": data})


def sse(data: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: %s\n\n" % orjson.dumps(data)


def _envelope(kind: str, model: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": ID,
        "object": kind,
        "created": CREATED,
        "model": model,
        "choices": choices,
        "system_fingerprint": "fp_mock",
    }
