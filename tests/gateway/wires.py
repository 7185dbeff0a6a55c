"""Answers of each provider's own wire for the scripted provider: one call told four ways, whatever dialect asks.

`say`, `call` and `fail` are scripts: they look at the request and answer plainly or as a stream, as it asks.
"""

from typing import Any

import orjson

from loadtest.mockserver import Answer, MockServer
from loadtest.upstream.hit import Hit

TEXT = "Hello from afar"
TOOL, ARGUMENTS = "get_weather", '{"city":"Paris"}'
USED = (10, 5)  # prompt and answer
JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}


def serve(mock: MockServer, kind: str, what: str) -> None:
    """Let `mock` answer as a provider of `kind`: `text`, `tool` (then text, once it has the result) or `error`."""
    mock.script("*", lambda hit: WIRES[kind](hit, "text" if what == "tool" and _has_result(hit) else what))


def _has_result(hit: Hit) -> bool:
    return any(mark in hit.body for mark in (b'"tool_call_id"', b'"tool_result"', b'"functionResponse"'))


def _events(*bodies: Any, named: bool = False, done: bool = False) -> Answer:
    chunks = [
        (f"event: {body['type']}\n".encode() if named else b"") + b"data: " + orjson.dumps(body) + b"\n\n"
        for body in bodies
    ]
    return Answer(headers=EVENTS, chunks=chunks + ([b"data: [DONE]\n\n"] if done else []))


def _plain(body: Any, status: int = 200) -> Answer:
    return Answer(status=status, headers=JSON, body=orjson.dumps(body))


def openai(hit: Hit, what: str, *, text: str = TEXT, tool: str = TOOL, arguments: str = ARGUMENTS) -> Answer:
    if what == "error":
        error = {"message": "Too many words.", "type": "invalid_request_error", "param": "messages"}
        return _plain({"error": error | {"code": "context_length_exceeded"}}, 400)
    shape = {"id": "chatcmpl-1", "created": 1_760_000_000, "model": "m-1"}
    usage = {"prompt_tokens": USED[0], "completion_tokens": USED[1], "total_tokens": sum(USED)}
    calls = [{"id": "call_1", "type": "function", "function": {"name": tool, "arguments": arguments}}]
    message = {"content": text} if what == "text" else {"content": None, "tool_calls": calls}
    reason = "stop" if what == "text" else "tool_calls"
    if not hit.stream:
        told = {"role": "assistant", "refusal": None} | message
        choice = {"index": 0, "message": told, "logprobs": None, "finish_reason": reason}
        return _plain(shape | {"object": "chat.completion", "choices": [choice], "usage": usage})
    delta = message if what == "text" else {"tool_calls": [{"index": 0} | calls[0]]}
    shape["object"] = "chat.completion.chunk"
    return _events(
        shape | {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]},
        shape | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        shape | {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
        shape | {"choices": [], "usage": usage},
        done=True,
    )


def responses(hit: Hit, what: str) -> Answer:
    """OpenAI's other API, of a provider that has it itself."""
    item: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    item["content"] = [{"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}]
    if what == "tool":
        item = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": TOOL, "arguments": ARGUMENTS}
    usage = {"input_tokens": USED[0], "output_tokens": USED[1], "total_tokens": sum(USED)}
    usage |= {"input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}}  # type: ignore[dict-item]
    usage |= {"output_tokens_details": {"reasoning_tokens": 0}}  # type: ignore[dict-item]
    begun: dict[str, Any] = {"id": "resp_1", "object": "response", "created_at": 1_760_000_000, "model": "m-1"}
    begun |= dict.fromkeys(("error", "incomplete_details", "instructions", "metadata", "temperature", "top_p"))
    begun |= {"output": [], "tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "status": "in_progress"}
    whole = begun | {"output": [item], "status": "completed", "usage": usage}
    if not hit.json.get("stream"):
        return _plain(whole)
    told = ({"type": "response.created", "response": begun}, {"type": "response.completed", "response": whole})
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    return _events(*(each | {"sequence_number": n} for n, each in enumerate((told[0], done, told[1]))), named=True)


def others(hit: Hit) -> Answer:
    """Embeddings and the older completions."""
    usage = {"prompt_tokens": USED[0], "total_tokens": USED[0]}
    if "/embeddings" in hit.path:
        data = [{"object": "embedding", "index": 0, "embedding": [0.5, -0.5]}]
        return _plain({"object": "list", "data": data, "model": "m-1", "usage": usage})
    choice = {"index": 0, "text": TEXT, "logprobs": None, "finish_reason": "stop"}
    shape = {"id": "cmpl-1", "object": "text_completion", "created": 1_760_000_000, "model": "m-1", "choices": [choice]}
    usage = {"prompt_tokens": USED[0], "completion_tokens": USED[1], "total_tokens": sum(USED)}
    return _events(shape | {"usage": usage}, done=True) if hit.stream else _plain(shape | {"usage": usage})


def anthropic(hit: Hit, what: str, *, text: str = TEXT, tool: str = TOOL, arguments: str = ARGUMENTS) -> Answer:
    if what == "error":
        error = {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"}
        return _plain({"type": "error", "error": error, "request_id": "req_1"}, 400)
    block: dict[str, Any] = {"type": "text", "text": text}
    if what == "tool":
        block = {"type": "tool_use", "id": "toolu_1", "name": tool, "input": orjson.loads(arguments)}
    reason = "end_turn" if what == "text" else "tool_use"
    usage = {"input_tokens": USED[0], "output_tokens": USED[1]}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "stop_sequence": None}
    if not hit.json.get("stream"):
        return _plain(message | {"content": [block], "stop_reason": reason, "usage": usage})
    empty = block | ({"text": ""} if what == "text" else {"input": {}})
    delta = {"type": "text_delta", "text": text}
    if what == "tool":
        delta = {"type": "input_json_delta", "partial_json": arguments}
    begun = message | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    return _events(
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": empty},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
        named=True,
    )


def gemini(hit: Hit, what: str, *, text: str = TEXT, tool: str = TOOL, arguments: str = ARGUMENTS) -> Answer:
    if what == "error":
        error = {"code": 400, "status": "INVALID_ARGUMENT", "message": "The input exceeds the maximum number of tokens"}
        return _plain({"error": error}, 400)
    part: dict[str, Any] = {"text": text}
    if what == "tool":
        part = {"functionCall": {"name": tool, "args": orjson.loads(arguments)}, "thoughtSignature": "c2ln"}
    counted = {"promptTokenCount": USED[0], "candidatesTokenCount": USED[1], "totalTokenCount": sum(USED)}
    shape = {"modelVersion": "gemini-x", "responseId": "r1", "usageMetadata": counted}
    first = {"index": 0, "content": {"role": "model", "parts": [part]}}
    if ":streamGenerateContent" not in hit.path:
        return _plain(shape | {"candidates": [first | {"finishReason": "STOP"}]})
    last = {"index": 0, "content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": "STOP"}
    return _events(shape | {"candidates": [first]}, shape | {"candidates": [last]})


WIRES = {"openai-compatible": openai, "anthropic": anthropic, "gemini": gemini}
