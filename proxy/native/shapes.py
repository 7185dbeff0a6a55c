"""Errors in the words of the API that was called: as an answer's body, and as an event inside a stream."""

import orjson

from proxy import sse
from proxy.dialects.base import Asked, Dialect
from proxy.dialects.gemini import GeminiCaller
from proxy.dialects.messages import Messages
from proxy.dialects.openai_chat import OpenAIChat
from proxy.dialects.responses import Responses
from proxy.errors import GatewayError
from proxy.native.operations import ANTHROPIC, GEMINI

_DIALECTS: dict[str, Dialect] = {ANTHROPIC: Messages(), GEMINI: GeminiCaller()}
_CHAT = OpenAIChat()


class Shape:
    """How a family of APIs tells errors."""

    def __init__(self, family: str) -> None:
        self._family = family
        self.dialect = _DIALECTS.get(family, _CHAT)

    def event(self, error: GatewayError, asked: Asked, operation: str) -> bytes:
        """Return an error event, after which nothing follows."""
        if operation == "responses":
            return Responses().encoder(asked).error(error)
        name = b"event: error\n" if self._family == ANTHROPIC else b""
        return name + sse.encode(orjson.dumps(self.dialect.error(error, "")))
