"""Pages of a list, in the words of Anthropic and Google. Who asks for no page gets the whole list."""

from collections.abc import Mapping, Sequence
from typing import Any

from proxy.errors import BadRequest

MOST = 1000  # entries of one page


def anthropic(models: Sequence[dict[str, Any]], asked: Mapping[str, str]) -> dict[str, Any]:
    """Return the page after `after_id`, or the one before `before_id`. Raises BadRequest naming the parameter."""
    ids = [each["id"] for each in models]
    size = _size(asked, "limit") or len(models)
    if "before_id" in asked:
        end = _place(ids, asked, "before_id")
        page, more = models[max(end - size, 0) : end], end > size
    else:
        begin = _place(ids, asked, "after_id") + 1 if "after_id" in asked else 0
        page, more = models[begin : begin + size], begin + size < len(models)
    first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
    return {"data": page, "has_more": more, "first_id": first, "last_id": last}


def gemini(models: Sequence[dict[str, Any]], asked: Mapping[str, str]) -> dict[str, Any]:
    """Return the page that `pageToken` leads to; the token is the name of the last one before."""
    names = [each["name"] for each in models]
    size = _size(asked, "pageSize") or len(models)
    begin = _place(names, asked, "pageToken") + 1 if asked.get("pageToken") else 0
    page = models[begin : begin + size]
    more = {"nextPageToken": names[begin + size - 1]} if begin + size < len(models) else {}
    return {"models": page} | more


def _size(asked: Mapping[str, str], name: str) -> int:
    """Return how long a page may be, 0 where nobody said."""
    given = asked.get(name, "0")
    if not given.isascii() or not given.isdecimal() or len(given) > len(str(MOST)):
        raise BadRequest(f"'{name}' must be a whole number from 1 to {MOST}.", param=name)
    return min(int(given), MOST)


def _place(names: Sequence[str], asked: Mapping[str, str], name: str) -> int:
    if asked[name] not in names:
        raise BadRequest(f"'{name}' names no model of this list.", param=name)
    return names.index(asked[name])
