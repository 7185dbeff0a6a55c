"""Google's Gemini API (generateContent): OpenAI's chat there and back.

Source: Gemini API reference and google-genai 3.4.0, whose field names and enumerations are used.
"""

import secrets
import string
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from accounts.prices import Usage
from proxy.body import Json, with_value
from proxy.chat import Chat
from proxy.errors import BadRequest, StreamCut, UpstreamError
from proxy.providers.base import Outgoing
from proxy.providers.gemini import address, draft, grounding, request
from proxy.providers.gemini.errors import detail_of, in_stream, translate
from proxy.providers.gemini.reply import completion
from proxy.providers.gemini.stream import GeminiStream
from routing.values import Target

ALPHABET = string.ascii_letters + string.digits


def random_mark() -> str:
    """Return 24 letters and digits, to tell one answer or call from another."""
    return "".join(secrets.choice(ALPHABET) for _ in range(24))


class Gemini:
    """Kind "gemini". `mark` makes up ids that Gemini leaves out; `clock` gives epoch seconds."""

    dialect = "gemini"

    def __init__(self, mark: Callable[[], str] = random_mark, clock: Callable[[], float] = time.time) -> None:
        self._mark, self._clock = mark, clock

    def request(self, chat: Chat, target: Target) -> Outgoing:
        sketch = draft.begin(target, chat.model)
        body = orjson.dumps(request.build(sketch, chat.body))
        method = address.STREAM if chat.stream else address.METHODS["chat"]
        return address.outgoing(target, sketch.model, method, body, tuple(sketch.ignored))

    def native(self, raw: bytes, body: Json, target: Target, *, operation: str, stream: bool) -> Outgoing:
        """Return the caller's bytes under the target's model; `operation` is one of address.METHODS."""
        if operation not in address.METHODS:
            raise BadRequest(f"{target.provider.name} has no {operation[:64]!r}.", code="unsupported_parameter")
        model = target.model or str(body.get("model") or "")
        method = address.STREAM if stream and operation == "chat" else address.METHODS[operation]
        return address.outgoing(target, model, method, _renamed(raw, body, address.resource(model)))

    def reply(self, body: Json, chat: Chat) -> Json:
        return completion(body, self._shape(body, chat), self._call_id, chat.body)

    def usage(self, body: Mapping[str, Any]) -> Usage | None:
        return grounding.usage_of(body)

    def stream(self, chat: Chat) -> GeminiStream:
        return GeminiStream(lambda body: self._shape(body, chat), self._call_id, chat.body)

    def error(self, status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamError:
        return translate(status, headers, body, target)

    def fault(self, body: Json) -> StreamCut:
        return in_stream(detail_of(body))

    def _shape(self, body: Mapping[str, Any], chat: Chat) -> Json:
        """Return what an answer and all chunks of a stream have in common."""
        said, model = body.get("responseId"), body.get("modelVersion")
        return {
            "id": said if isinstance(said, str) and said else f"chatcmpl-{self._mark()}",
            "created": int(self._clock()),
            "model": model if isinstance(model, str) and model else chat.model,
        }

    def _call_id(self) -> str:
        return f"call_{self._mark()}"


def _renamed(raw: bytes, body: Json, resource: str) -> bytes:
    """Return `raw` with the model's name changed where the body says it too, as countTokens and embeddings may."""
    if isinstance(body.get("model"), str) and body["model"] != resource:
        return with_value(raw, body, "model", resource)
    requests = body.get("requests")
    if isinstance(requests, list) and any(
        isinstance(each, dict) and each.get("model") != resource for each in requests
    ):
        named = [each | {"model": resource} if isinstance(each, dict) else each for each in requests]
        return with_value(raw, body, "requests", named)
    inner = body.get("generateContentRequest")
    if isinstance(inner, dict) and isinstance(inner.get("model"), str) and inner["model"] != resource:
        return with_value(raw, body, "generateContentRequest", inner | {"model": resource})
    return raw
