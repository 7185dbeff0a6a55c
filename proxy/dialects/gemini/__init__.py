"""Google's Gemini API as a caller's dialect: generateContent, streamGenerateContent and countTokens, /v1 and /v1beta.

Where the target is Gemini, requests and answers pass as they are; else they go through OpenAI's chat completions.
Sources: Gemini API reference, and the types of google-genai 3.4.0.
"""

from collections.abc import Mapping
from typing import Any

from accounts.prices import Usage
from proxy import body as bodies
from proxy.chat import refuse_forbidden
from proxy.dialects import checks
from proxy.dialects.base import Asked, Dialect, Json
from proxy.dialects.gemini import config, inward, outward, signed
from proxy.dialects.gemini.encoder import GeminiEncoder
from proxy.dialects.gemini.spelling import several
from proxy.dialects.gemini.watch import GeminiWatcher
from proxy.errors import GatewayError
from proxy.providers.gemini import grounding

EMBEDDED = {"embeddings": "content", "batch_embeddings": "requests"}  # what is embedded stands there


class GeminiCaller(Dialect):
    """Streams are events (alt=sse) here; for callers who did not ask for those, see frames.ArrayChunks."""

    name = "gemini"

    def parse(self, raw: bytes, *, model: str = "", stream: bool = False, operation: str = "chat") -> Asked:
        """Return the request in `raw`; `model` and `stream` stand in the URL, so does what says the `operation`.

        Only what we act on is checked: the rest is for Gemini to judge, or for `chat` to translate.
        """
        body = bodies.parse(raw)
        refuse_forbidden(body)
        said = checks.optional(body, "model", str)  # at Google too, the URL's counts
        asked = Asked(raw, body, (model or said or checks.model_of(body)).removeprefix("models/"), stream, operation)
        needed = EMBEDDED.get(operation, "contents")
        if not several(inward.request_of(asked), needed):
            raise checks.missing(needed)
        return asked

    def chat(self, asked: Asked) -> Json:
        if asked.operation in EMBEDDED:
            raise checks.unsupported("model", "Only Google's own models make embeddings of this form.")
        return inward.chat(asked)

    def as_native(self, asked: Asked) -> Asked:
        """Return the request as a Gemini may see it: without what other models signed."""
        return signed.as_native(asked)

    def ignored(self, asked: Asked) -> tuple[str, ...]:
        """Return the names of hints that `chat` leaves out, since OpenAI's chat has no words for them."""
        return inward.hints(asked)

    def reply(self, completion: Json, asked: Asked) -> Json:
        return outward.response(completion, thoughts=config.wants_thoughts(inward.request_of(asked)))

    def counted(self, tokens: int) -> Json:
        """Return the answer to countTokens."""
        return outward.counted(tokens)

    def encoder(self, asked: Asked) -> GeminiEncoder:
        thoughts = config.wants_thoughts(inward.request_of(asked))
        return GeminiEncoder(asked.model, thoughts=thoughts)

    def error(self, error: GatewayError, request_id: str) -> Json:
        return outward.error(error)

    def usage(self, body: Mapping[str, Any]) -> Usage | None:
        return grounding.usage_of(body)

    def watcher(self) -> GeminiWatcher:
        return GeminiWatcher()
