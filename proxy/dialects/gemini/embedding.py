"""Gemini's embedContent and batchEmbedContents as OpenAI's embeddings, for targets that speak its dialect.

Source: Gemini API reference, models.embedContent and batchEmbedContents.
"""

from collections.abc import Mapping
from typing import Any

from proxy.dialects import checks
from proxy.dialects.base import Asked, Json
from proxy.dialects.gemini.left_out import asks
from proxy.dialects.gemini.spelling import cannot, inner, several, spelled
from proxy.errors import BadRequest
from proxy.providers.gemini.embeddings import numbers
from proxy.providers.gemini.reply import invalid

_KNOWN = frozenset({"model", "content", "outputDimensionality"})


def request(asked: Asked) -> tuple[Json, tuple[str, ...]]:
    """Return the request and the hints that it leaves out. Raises BadRequest for what is no text."""
    one = asked.operation == "embeddings"
    told = [spelled(asked.body)] if one else several(asked.body, "requests")
    paths = [""] if one else [f"requests[{place}]." for place in range(len(told))]
    texts = [_text(each, path) for each, path in zip(told, paths, strict=True)]
    sizes = {checks.whole(each, "outputDimensionality", 1, path=path) for each, path in zip(told, paths, strict=True)}
    if len(sizes) > 1:
        name = "requests[].outputDimensionality"
        raise BadRequest(f"'{name}' must be the same in all requests for this model.", param=name)
    hints = (name for each in told for name, value in each.items() if name not in _KNOWN and asks(value))
    ignored = tuple(dict.fromkeys(("" if one else "requests.") + name[:64] for name in hints))
    size = sizes.pop()
    body: Json = {"model": asked.model, "input": texts, "encoding_format": "float"}
    return body | ({} if size is None else {"dimensions": size}), ignored


def reply(answer: Mapping[str, Any], asked: Asked) -> Json:
    """Return Gemini's answer, without the usage. Raises UpstreamError for what is no answer to all of the texts."""
    data = answer.get("data")
    found = [each for each in data if isinstance(each, dict)] if isinstance(data, list) else []
    places = [each.get("index", place) for place, each in enumerate(found)]
    wanted = 1 if asked.operation == "embeddings" else len(several(asked.body, "requests"))
    if sorted(place for place in places if type(place) is int) != list(range(wanted)):
        raise invalid("The provider's answer does not hold an embedding for each text.")
    vectors: list[Json] = [{}] * wanted
    for place, each in zip(places, found, strict=True):
        vectors[place] = {"values": numbers(each.get("embedding"))}
    return {"embedding": vectors[0]} if asked.operation == "embeddings" else {"embeddings": vectors}


def _text(one: Json, path: str) -> str:
    """Return the text of what is to be embedded, which may stand in several parts."""
    if one.get("content") is None:
        raise checks.missing(f"{path}content")
    texts = []
    for place, part in enumerate(several(inner(one, "content", path=path), "parts", path=f"{path}content.")):
        here = f"{path}content.parts[{place}]"
        if part.get("text") is None:
            raise cannot(here, "only text can be embedded by this model.")
        texts.append(checks.required(part, "text", str, path=f"{here}."))
    if not any(texts):
        raise checks.missing(f"{path}content.parts")
    return "".join(texts)
