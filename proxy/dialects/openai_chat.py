"""OpenAI's chat completions as a caller's dialect: the inner dialect itself, so that nothing is translated.

Serves callers of the chat surface whose target speaks something else. Source: OpenAI API reference, chat completions.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from accounts.prices import Usage
from proxy import chat as chats
from proxy import sse
from proxy.dialects.base import Asked, Dialect, Json, StreamEncoder
from proxy.errors import GatewayError, StreamCut
from proxy.providers.breaks import reported
from proxy.providers.openai import OpenAI

_INTERESTING = re.compile(
    rb'\[DONE\]|"usage"\s*:\s*\{|"finish_reason"\s*:\s*"|"error"\s*:\s*[{"]|"object"\s*:\s*"error"'
    rb"|(?:^|[\n\r])event: ?error"
)

reported_usage = OpenAI().usage


class OpenAIChat(Dialect):
    name = "openai"

    def parse(self, raw: bytes, *, model: str = "", stream: bool = False) -> Asked:
        chat = chats.parse(raw)
        return Asked(chat.raw, chat.body, chat.model, chat.stream)

    def chat(self, asked: Asked) -> Json:
        return asked.body

    def reply(self, completion: Json, asked: Asked) -> Json:
        return completion

    def encoder(self, asked: Asked) -> "ChatEncoder":
        return ChatEncoder(wants_usage=wants_usage(asked))

    def error(self, error: GatewayError, request_id: str) -> Json:
        return error.body()

    def usage(self, body: Mapping[str, Any]) -> Usage | None:
        return reported_usage(body)

    def watcher(self) -> "ChatWatcher":
        return ChatWatcher()


class ChatEncoder(StreamEncoder):
    """Chunks as events. The last one carries the usage, with the cost as its first member, if it was asked for."""

    def __init__(self, *, wants_usage: bool) -> None:
        self._wants_usage = wants_usage
        self._shape: Json = {"object": "chat.completion.chunk"}

    def feed(self, chunk: Json) -> bytes:
        self._shape = chunk
        return sse.encode(orjson.dumps(chunk))

    def end(self, usage: Usage | None, cost: str) -> tuple[bytes, bytes]:
        return usage_event(self._shape, usage, cost) if self._wants_usage and usage is not None else b"", sse.DONE

    def error(self, error: GatewayError) -> bytes:
        return sse.encode(orjson.dumps(error.body()))


class ChatWatcher:
    """Reads a stream of chunks that passes. A finish reason makes an answer whole even without `[DONE]`."""

    def __init__(self) -> None:
        self.so_far: Usage | None = None
        self.ended = False
        self.error: StreamCut | None = None
        self._finished = self._summed_up = False

    @property
    def usage(self) -> Usage | None:
        return self.so_far if self.ended or self._finished or self._summed_up else None

    def interesting(self, block: bytes) -> bool:
        return _INTERESTING.search(block) is not None

    def feed(self, name: bytes, data: bytes) -> None:
        if data.strip() == b"[DONE]":
            self.ended = True
        elif (chunk := parsed(data)) is not None:
            self.so_far = reported_usage(chunk) or self.so_far
            self._summed_up = self._summed_up or not chunk.get("choices")  # nothing but usage: its last word
            reasons = [choice.get("finish_reason") for choice in _objects(chunk.get("choices"))]
            self._finished = self._finished or any(reasons)
            self.error = self.error or reported(name, chunk)

    def complete(self) -> bool:
        return self.error is None and (self.ended or self._finished)


def wants_usage(asked: Asked) -> bool:
    """Say whether the caller asked for a usage chunk at the end of a stream."""
    options = asked.body.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


def usage_event(shape: Mapping[str, Any], usage: Usage, cost: str) -> bytes:
    """Return the usage chunk of a stream whose chunks look like `shape`."""
    rest = {name: value for name, value in shape.items() if name not in {"choices", "usage", "cost"}}
    return sse.encode(orjson.dumps({"cost": cost} | rest | {"choices": [], "usage": usage_object(usage)}))


def usage_object(usage: Usage) -> Json:
    """Return OpenAI's usage object, which counts cached tokens inside the prompt and reasoning inside the answer."""
    sent = {"cached_tokens": usage.tokens_cached, "audio_tokens": usage.audio_input + usage.cached_audio}
    if written := usage.cache_write + usage.cache_write_1h:
        sent["cache_write_tokens"] = written
    return {
        "prompt_tokens": usage.tokens_in,
        "completion_tokens": usage.tokens_out,
        "total_tokens": usage.tokens_in + usage.tokens_out,
        "prompt_tokens_details": sent,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": usage.audio_output},
    }


def parsed(data: bytes) -> Json | None:
    """Return the object in an event's data, None if it holds none."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _objects(value: Any) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
