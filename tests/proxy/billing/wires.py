"""What providers say, in each wire: one short answer whose usage a test chooses, plain and as a stream.

`LEFT_OUT` as usage leaves it out. Each wire says the same words, so that estimates can be bounded.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from loadtest.mockserver import Answer

WORDS = ["One", " two", " three", " four"]
TEXT = "".join(WORDS)
LEFT_OUT: Any = object()
JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}
Json = dict[str, Any]


@dataclass(frozen=True)
class Wire:
    """`plain` makes a body; `events` the pieces of a stream, the last `tail` of which come after the last word.

    `early`: the prompt's part of the usage is told before the answer.
    """

    plain: Callable[[Any], Json]
    events: Callable[[Any], list[bytes]]
    tail: int = 2
    headers: Any = field(default_factory=lambda: EVENTS)
    early: bool = False
    says: bool = True

    def answer(self, usage: Any, *, stream: bool) -> Answer:
        if stream:
            return Answer(headers=self.headers, chunks=self.events(usage))
        return Answer(headers=JSON, body=_dumped(self.plain(usage)))

    def cut(self, usage: Any, *, stream: bool) -> Answer:
        """The same, broken off: after the last word, or in the middle of a body."""
        if stream:
            return Answer(headers=self.headers, chunks=self.words(usage), then="cut")
        body = _dumped(self.plain(usage))
        headers = JSON | {"content-length": str(len(body))}
        return Answer(headers=headers, body=body[: len(body) // 2], then="cut")

    def words(self, usage: Any) -> list[bytes]:
        """The pieces up to the last word."""
        events = self.events(usage)
        return events[: len(events) - self.tail]


def _dumped(body: Json) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()  # orjson knows no number beyond 64 bits


def _with(body: Json, name: str, usage: Any) -> Json:
    return body if usage is LEFT_OUT else body | {name: usage}


def _event(body: Json, *, named: bool = False) -> bytes:
    return (f"event: {body['type']}\n".encode() if named else b"") + b"data: " + _dumped(body) + b"\n\n"


def _chat(usage: Any) -> Json:
    choice = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    return _with({"id": "c1", "object": "chat.completion", "model": "m-1", "choices": [choice]}, "usage", usage)


def _chat_events(usage: Any) -> list[bytes]:
    def chunk(delta: Json, reason: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {"id": "c1", "object": "chat.completion.chunk", "model": "m-1", "choices": [choice]}

    told = [_event(chunk({"content": word})) for word in WORDS] + [_event(chunk({}, "stop"))]
    last = [] if usage is LEFT_OUT else [_event({"id": "c1", "choices": [], "usage": usage})]
    return [*told, b"".join([*last, b"data: [DONE]\n\n"])]


def _completion(usage: Any) -> Json:
    choice = {"index": 0, "text": TEXT, "logprobs": None, "finish_reason": "stop"}
    return _with({"id": "cmpl-1", "object": "text_completion", "model": "m-1", "choices": [choice]}, "usage", usage)


def _completion_events(usage: Any) -> list[bytes]:
    def chunk(text: str, reason: str | None = None) -> Json:
        return {"id": "cmpl-1", "object": "text_completion", "choices": [{"text": text, "finish_reason": reason}]}

    told = [_event(chunk(word)) for word in WORDS] + [_event(chunk("", "stop"))]
    last = [] if usage is LEFT_OUT else [_event({"id": "cmpl-1", "choices": [], "usage": usage})]
    return [*told, b"".join([*last, b"data: [DONE]\n\n"])]


def _embeddings(usage: Any) -> Json:
    return _with({"object": "list", "data": [{"index": 0, "embedding": [0.5, 0.25]}]}, "usage", usage)


def _gemini_embeddings(usage: Any) -> Json:
    return _with({"embeddings": [{"values": [0.5, 0.25]}]}, "usageMetadata", usage)


def _message(usage: Any) -> Json:
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "end_turn"}
    return _with(body | {"content": [{"type": "text", "text": TEXT}]}, "usage", usage)


def _message_events(usage: Any) -> list[bytes]:
    """The beginning tells the prompt and one token of output; the end replaces that by the totals."""
    start, end = usage, usage
    if isinstance(usage, dict) and usage.get("output_tokens"):
        late = {"output_tokens", "output_tokens_details", "server_tool_use"}
        start = {name: count for name, count in usage.items() if name not in late} | {"output_tokens": 1}
        end = {name: usage[name] for name in late if name in usage}
    message = _with({"id": "msg_1", "type": "message", "role": "assistant", "content": []}, "usage", start)
    block = {"type": "text", "text": ""}
    told: list[Json] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": w}} for w in WORDS),
        {"type": "content_block_stop", "index": 0},
        _with({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, "usage", end),
        {"type": "message_stop"},
    ]
    return [_event(each, named=True) for each in told]


def _gemini(usage: Any) -> Json:
    candidate = {"index": 0, "content": {"role": "model", "parts": [{"text": TEXT}]}, "finishReason": "STOP"}
    return _with({"modelVersion": "gemini-x", "responseId": "r1", "candidates": [candidate]}, "usageMetadata", usage)


def _gemini_chunks(usage: Any) -> list[Json]:
    """Usage is cumulative: each chunk tells what has been used so far, of the output at first nothing."""
    early = usage
    if isinstance(usage, dict) and usage.get("candidatesTokenCount"):
        early = {n: c for n, c in usage.items() if n.startswith(("prompt", "cache"))} | {"candidatesTokenCount": 1}
    said = [{"index": 0, "content": {"role": "model", "parts": [{"text": word}]}} for word in WORDS]
    last = {"index": 0, "content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": "STOP"}
    return [
        *(_with({"candidates": [each]}, "usageMetadata", early) for each in said),
        _with({"candidates": [last]}, "usageMetadata", usage),
    ]


def _gemini_array(usage: Any) -> list[bytes]:
    told = [_dumped(each) for each in _gemini_chunks(usage)]
    return [b"[" + told[0], *(b",\r\n" + each for each in told[1:]), b"]"]


def _response(usage: Any) -> Json:
    part = {"type": "output_text", "text": TEXT, "annotations": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    return _with(
        {"id": "resp_1", "object": "response", "status": "completed", "model": "m-1", "output": [item]}, "usage", usage
    )


def _response_events(usage: Any) -> list[bytes]:
    begun = {"id": "resp_1", "object": "response", "status": "in_progress", "output": [], "usage": None}
    told: list[Json] = [
        {"type": "response.created", "response": begun},
        *({"type": "response.output_text.delta", "item_id": "msg_1", "delta": word} for word in WORDS),
        {"type": "response.output_text.done", "item_id": "msg_1", "text": TEXT},
        {"type": "response.completed", "response": _response(usage)},
    ]
    return [_event(each, named=True) for each in told]


CHAT = Wire(_chat, _chat_events)
COMPLETIONS = Wire(_completion, _completion_events)
EMBEDDINGS = Wire(_embeddings, lambda usage: [], says=False)
GEMINI_EMBEDDINGS = Wire(_gemini_embeddings, lambda usage: [], says=False)
MESSAGES = Wire(_message, _message_events, tail=3, early=True)
GEMINI = Wire(_gemini, lambda usage: [_event(each) for each in _gemini_chunks(usage)], tail=1, early=True)
GEMINI_ARRAY = Wire(_gemini, _gemini_array, headers=JSON, early=True)
RESPONSES = Wire(_response, _response_events)
