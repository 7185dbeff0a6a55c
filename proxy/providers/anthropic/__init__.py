"""Anthropic's Messages API, spoken for callers of OpenAI's chat, or as it is for callers who speak it themselves.

Sources: Anthropic's API reference, version 2023-06-01, and the types of its Python SDK 2.11.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from accounts.prices import Usage
from proxy.body import Json, with_value
from proxy.chat import Chat
from proxy.errors import BadRequest, StreamCut, UpstreamError
from proxy.providers.anthropic import draft, errors, reply, request, usage
from proxy.providers.anthropic.stream import Translator
from proxy.providers.base import Outgoing
from routing.kinds import KINDS
from routing.values import Target

# The first version: it still takes temperature and top_p for the models that know them, that of 2026-10-21 does not.
VERSION = "2023-06-01"
PATHS = {"chat": "/v1/messages", "count_tokens": "/v1/messages/count_tokens"}


class Anthropic:
    """The adapter. `clock` gives epoch seconds, `random_id` an id for answers that come without one."""

    dialect = "anthropic"

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        random_id: Callable[[], str] = lambda: f"chatcmpl-{secrets.token_hex(12)}",
    ) -> None:
        self._clock, self._random_id = clock, random_id

    def request(self, chat: Chat, target: Target) -> Outgoing:
        drafted = draft.begin(target, chat.model)
        body = request.translate(chat, drafted)
        return _outgoing(orjson.dumps(body), target, "chat", tuple(drafted.ignored))

    def native(self, raw: bytes, body: Json, target: Target, *, operation: str, stream: bool) -> Outgoing:
        if operation not in PATHS:
            raise BadRequest(
                f"{target.provider.name} has no {operation.replace('_', ' ')}.", code="unsupported_parameter"
            )
        if target.model and target.model != body.get("model"):
            raw = with_value(raw, body, "model", target.model)
        return _outgoing(raw, target, operation)

    def reply(self, body: Json, chat: Chat) -> Json:
        return reply.completion(body, chat.body, id=self._random_id(), created=int(self._clock()))

    def usage(self, body: Mapping[str, Any]) -> Usage | None:
        return usage.parse(body.get("usage"))

    def stream(self, chat: Chat) -> Translator:
        return Translator(chat.body, id=self._random_id(), created=int(self._clock()))

    def error(self, status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamError:
        return errors.answered(status, headers, body, target)

    def fault(self, body: Json) -> StreamCut:
        return errors.in_stream(body)


def _outgoing(raw: bytes, target: Target, operation: str, ignored: tuple[str, ...] = ()) -> Outgoing:
    base = (target.provider.base_url or KINDS["anthropic"].base_url).rstrip("/").removesuffix("/v1")
    headers = [("content-type", "application/json"), ("anthropic-version", VERSION)]
    if target.provider.secret:
        headers.append(("x-api-key", target.provider.secret))
    return Outgoing(base + PATHS[operation], tuple(headers), raw, ignored)
