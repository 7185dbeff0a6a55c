"""OpenAI's Responses API as a caller's dialect, without memory: a caller sends the whole conversation each time.

Callers: OpenAI's SDKs, Codex CLI, Vercel's AI SDK. Source: OpenAI API reference, responses.
"""

from collections.abc import Mapping
from typing import Any

from accounts.prices import Usage
from proxy.dialects.base import Asked, Dialect, Json
from proxy.dialects.responses import items, reply, request
from proxy.dialects.responses.stream import Encoder
from proxy.dialects.responses.watch import Watcher
from proxy.errors import GatewayError


class Responses(Dialect):
    name = "responses"
    opening = frozenset({b"response.created", b"response.queued", b"response.in_progress"})

    def parse(self, raw: bytes, *, model: str = "", stream: bool = False) -> Asked:
        return request.parse(raw, model=model, stream=stream)

    def chat(self, asked: Asked) -> Json:
        return request.chat(asked)

    def ignored(self, asked: Asked) -> tuple[str, ...]:
        """Return the names of hints that `chat` leaves out, for the header that says so."""
        return request.ignored(asked)

    def as_native(self, asked: Asked) -> Asked:
        """Return the request for a target that speaks this dialect itself; as a rule the very same."""
        return request.as_native(asked)

    def reply(self, completion: Json, asked: Asked) -> Json:
        return reply.reply(completion, asked)

    def encoder(self, asked: Asked) -> Encoder:
        return Encoder(asked)

    def error(self, error: GatewayError, request_id: str) -> Json:
        return error.body()

    def usage(self, body: Mapping[str, Any]) -> Usage | None:
        return items.usage_of(body)

    def watcher(self) -> Watcher:
        return Watcher()
