"""Anthropic's Messages API as a caller's dialect: POST /v1/messages and /v1/messages/count_tokens.

Where the target is Anthropic, requests and answers pass as they are; else they go through OpenAI's chat completions.
Sources: Anthropic's API reference, version 2023-06-01, and the types of its Python SDK 2.11.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from accounts.prices import Usage
from proxy import body as bodies
from proxy.chat import refuse_forbidden
from proxy.dialects import checks
from proxy.dialects.base import Asked, Dialect, Json
from proxy.dialects.messages import foreign, inward, outward
from proxy.dialects.messages.encoder import MessageEncoder
from proxy.dialects.messages.watch import MessageWatcher
from proxy.errors import BadRequest, GatewayError
from proxy.providers.anthropic import usage

ROLES = ("user", "assistant", "system")


class Messages(Dialect):
    name = "anthropic"
    opening = frozenset({b"message_start", b"ping"})

    def parse(self, raw: bytes, *, model: str = "", stream: bool = False, operation: str = "chat") -> Asked:
        """Return the request in `raw`; `operation` is "chat" or "count_tokens". Raises BadRequest.

        Only what we act on is checked: the rest is for Anthropic to judge, or for `chat` to translate.
        """
        body = bodies.parse(raw)
        refuse_forbidden(body)
        asked = checks.model_of(body, model)
        _check_messages(body)
        checks.optional(body, "metadata", dict)
        streams = False
        if operation == "chat":
            if checks.whole(body, "max_tokens", 0) is None:
                raise checks.missing("max_tokens")
            streams = checks.optional(body, "stream", bool) or stream
        return Asked(raw, body, asked, streams, operation)

    def chat(self, asked: Asked) -> Json:
        return inward.chat(asked.body, asked.model, stream=asked.stream)

    def as_native(self, asked: Asked) -> Asked:
        """Return the request as Anthropic may see it: without what other providers left in it."""
        return foreign.as_native(asked)

    def ignored(self, asked: Asked) -> tuple[str, ...]:
        """Return the names of hints that `chat` leaves out, since OpenAI's chat has no words for them."""
        return inward.hints(asked.body)

    def reply(self, completion: Json, asked: Asked) -> Json:
        return outward.message(completion, asked.body, _spare_id(asked))

    def encoder(self, asked: Asked) -> MessageEncoder:
        return MessageEncoder(asked.model, _spare_id(asked))

    def error(self, error: GatewayError, request_id: str) -> Json:
        return outward.error(error, request_id)

    def usage(self, body: Mapping[str, Any]) -> Usage | None:
        return usage.parse(body.get("usage"))

    def watcher(self) -> MessageWatcher:
        return MessageWatcher()


def _spare_id(asked: Asked) -> str:
    """Return an id for an answer without one: ids of its calls are made of it, and may stand once in a conversation."""
    return blake2b(asked.raw, digest_size=12).hexdigest()


def _check_messages(body: Json) -> None:
    checks.required(body, "messages", list)
    listed = checks.objects(body, "messages")
    if not listed:
        raise BadRequest("'messages' must not be empty.", param="messages")
    for place, message in enumerate(listed):
        path = f"messages.{place}."
        if checks.one_of(message, "role", ROLES, path=path) is None:
            raise checks.missing(f"{path}role")
        if message.get("content") is None:
            raise checks.missing(f"{path}content")
        if type(message["content"]) is not str:
            checks.objects(message, "content", path=path)
