"""Where a request to the Gemini API goes. The key travels in a header, never in the address, which lands in logs.

Source: Gemini API reference, models.generateContent, streamGenerateContent, countTokens, embedContent.
"""

import re
from urllib.parse import quote

from proxy.providers.base import Outgoing
from routing.values import Provider, Target

DEFAULT_VERSION = "/v1beta"
METHODS = {
    "chat": "generateContent",
    "count_tokens": "countTokens",
    "embeddings": "embedContent",
    "batch_embeddings": "batchEmbedContents",
}
STREAM = "streamGenerateContent?alt=sse"

_VERSIONED = re.compile(r"/v\d+(?:(?:alpha|beta)\d*)?$")
_KIND_OF_NAME = re.compile(r"(?:models|tunedModels)/")


def outgoing(target: Target, model: str, method: str, body: bytes, ignored: tuple[str, ...] = ()) -> Outgoing:
    """Return a call of `method` on `model`."""
    return Outgoing(url(target.provider, model, method), _headers(target.provider), body, ignored)


def url(provider: Provider, model: str, method: str) -> str:
    """Return the address. `model` may come from a caller, so nothing in it can leave its place in the path."""
    base = provider.base_url.rstrip("/")
    version = "" if _VERSIONED.search(base) else DEFAULT_VERSION
    return f"{base}{version}/{resource(model)}:{method}"


def resource(model: str) -> str:
    """Return the model's name as a path: `models/x` unless it says what it is itself."""
    said = _KIND_OF_NAME.match(model)
    kind = said.group() if said else "models/"
    return kind + quote(model[len(said.group()) if said else 0 :], safe="")


def _headers(provider: Provider) -> tuple[tuple[str, str], ...]:
    if provider.secret:
        return ("content-type", "application/json"), ("x-goog-api-key", provider.secret)
    return (("content-type", "application/json"),)
