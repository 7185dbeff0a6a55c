"""OpenAI's embeddings of Gemini's models: one batchEmbedContents, each text a request in it.

Source: Gemini API reference, models.batchEmbedContents. OpenAI's base64 is little-endian 32-bit floats.
"""

import struct
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from accounts.prices import Usage
from proxy.body import Json
from proxy.errors import UpstreamError
from proxy.providers.draft import Draft
from proxy.providers.gemini.address import resource
from proxy.providers.gemini.reply import invalid
from proxy.providers.gemini.said import objects
from proxy.providers.gemini.usage import parse_usage

KNOWN = frozenset({"model", "input", "encoding_format", "dimensions"})


def build(body: Json, draft: Draft[Any]) -> Json:
    """Return the request. Raises BadRequest for input that is no text: tokens are OpenAI's own."""
    given = body["input"]
    texts = [given] if type(given) is str else given
    if any(type(each) is not str for each in texts):
        raise draft.refuse("input", "only texts can be embedded, not tokens.")
    for name in sorted(body.keys() - KNOWN):
        if body[name]:
            draft.ignore(name)
    size: Json = {"outputDimensionality": body["dimensions"]} if body.get("dimensions") else {}
    model = resource(draft.model)
    return {"requests": [{"model": model, "content": {"parts": [{"text": text}]}} | size for text in texts]}


def reply(answer: Mapping[str, Any], asked: Json, model: str) -> Json:
    """Return OpenAI's list, without the usage. Raises UpstreamError for what is no answer to all of the texts."""
    found = [each.get("values") for each in objects(answer.get("embeddings"))]
    wanted = 1 if type(asked["input"]) is str else len(asked["input"])
    if len(found) != wanted:
        raise invalid("The provider's answer does not hold an embedding for each text.")
    packed = asked.get("encoding_format") == "base64"
    vectors = [_packed(each) if packed else numbers(each) for each in found]
    data = [{"object": "embedding", "index": place, "embedding": each} for place, each in enumerate(vectors)]
    return {"object": "list", "data": data, "model": model}


def usage(answer: Mapping[str, Any]) -> Usage | None:
    """Return what the newer models report; others say nothing."""
    return parse_usage(answer.get("usageMetadata"))


def numbers(values: Any) -> list[float]:
    """Return an embedding. Raises UpstreamError for what is none."""
    if not isinstance(values, list) or not all(type(each) in (int, float) for each in values):
        raise _odd()
    return values


def _packed(values: Any) -> str:
    vector = numbers(values)
    try:
        return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except (OverflowError, struct.error):
        raise _odd() from None


def _odd() -> UpstreamError:
    return invalid("The provider's answer holds something that is no embedding.")
