"""How often Gemini searched the web for an answer, which is billed beside its tokens, and the pages that it cites.

Source: Gemini API, grounding with Google Search: since Gemini 3 each query is billed, before that each grounded prompt.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from accounts.prices import Usage
from proxy.body import Json
from proxy.providers.gemini.said import objects
from proxy.providers.gemini.usage import parse_usage

MARK = b'"webSearchQueries"'
# Quotes inside a JSON string are escaped, so these only match members.
_QUERIES = re.compile(rb'"webSearchQueries"\s*:\s*(\[)')
_MODEL = re.compile(rb'"modelVersion"\s*:\s*"([^"]*)"')
_BY_PROMPT = ("gemini-1", "gemini-2")
_DECODER = json.JSONDecoder()


def usage_of(body: Mapping[str, Any]) -> Usage | None:
    """Return what a whole answer reports, its searches too; None if it reports no tokens, or nonsense."""
    usage = parse_usage(body.get("usageMetadata"))
    return with_searches(usage, counted(queries_of(body), body.get("modelVersion")))


def with_searches(usage: Usage | None, count: int) -> Usage | None:
    return replace(usage, searches=count) if usage is not None and count else usage


def queries_of(body: Mapping[str, Any]) -> list[Any]:
    """Return the queries that an answer, or one event of a stream, tells of."""
    found = [each.get("groundingMetadata") for each in objects(body.get("candidates"))]
    return [query for each in objects(found) for query in _list(each.get("webSearchQueries"))]


def searches_in(raw: bytes) -> int:
    """Return how often the bytes of a stream, cut anywhere, say that was searched."""
    queries: list[Any] = []
    for place in _QUERIES.finditer(raw):
        try:
            queries += _list(_DECODER.raw_decode(raw[place.start(1) :].decode("utf-8", "replace"))[0])
        except ValueError:
            continue
    model = _MODEL.search(raw)
    return counted(queries, model[1].decode("utf-8", "replace") if model else "")


def counted(queries: Iterable[Any], model: Any) -> int:
    """Return how many searches are billed: queries that several chunks repeat are one."""
    return billed(len({query for query in queries if isinstance(query, str) and query.strip()}), model)


def billed(count: int, model: Any) -> int:
    """Return how many of an answer's searches are billed."""
    older = isinstance(model, str) and model.removeprefix("models/").startswith(_BY_PROMPT)
    return min(count, 1) if older else count


def citations(candidate: Mapping[str, Any], text: str) -> list[Json]:
    """Return what a candidate cites, as OpenAI says it. `text` is all of its words, in which the cited ones are found.

    Gemini counts bytes of parts, which a stream cuts at will; so it is the words that are looked for.
    """
    told = candidate.get("groundingMetadata")
    told = told if isinstance(told, dict) else {}
    pages = [each.get("web") if isinstance(each, dict) else None for each in _list(told.get("groundingChunks"))]
    found: list[Json] = []
    for support in objects(told.get("groundingSupports")):
        segment = support.get("segment")
        words = segment.get("text") if isinstance(segment, dict) else None
        words = words if isinstance(words, str) else ""
        start = text.find(words) if words else -1
        for number in _list(support.get("groundingChunkIndices")):
            page = pages[number] if type(number) is int and 0 <= number < len(pages) else None
            if start >= 0 and isinstance(page, dict) and isinstance(page.get("uri"), str):
                place = {"start_index": start, "end_index": start + len(words)}
                title = page.get("title")
                cited = place | {"url": page["uri"], "title": title if isinstance(title, str) else ""}
                found.append({"type": "url_citation", "url_citation": cited})
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
