"""Answers of servers that merely resemble OpenAI, put into its form before they are translated into another.

Mistral's thinking models answer in a list of parts. Some servers number no calls in a stream, or give arguments as an
object. Functions get the names again that the caller gave them. What passes to a caller of OpenAI's own chat stays as
it is.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.body import Json


class Numbers:
    """Numbers the calls of one stream where a server does not: a call begins where it gets its name or id."""

    def __init__(self) -> None:
        self._latest: dict[Any, int] = {}  # by choice

    def number(self, call: Json, choice: Any) -> Json:
        latest = self._latest.get(choice, -1)
        index = call.get("index")
        if type(index) is not int:
            begins = bool(call.get("id") or _dict(call.get("function")).get("name"))
            index = latest + 1 if begins or latest < 0 else latest
        self._latest[choice] = max(latest, index)
        return call | {"index": index}


def chunk(given: Json, numbers: Numbers, names: Mapping[str, str]) -> Json:
    """Return a chunk of a stream in OpenAI's form. `names` are the caller's, by those that the server was told."""
    for choice in given["choices"]:
        delta = choice.get("delta") if isinstance(choice, dict) else None
        if not isinstance(delta, dict):
            continue
        if isinstance(delta.get("content"), list):
            choice["delta"] = delta = _spoken(delta)
        if calls := delta.get("tool_calls"):
            at = choice.get("index")
            listed = _calls(calls, names)
            choice["delta"] = delta | {
                "tool_calls": [numbers.number(each, at if type(at) is int else 0) for each in listed]
            }
    return given


def completion(given: Json, names: Mapping[str, str]) -> Json:
    """Return a whole answer in OpenAI's form. `names` are the caller's, by those that the server was told."""
    for choice in given["choices"]:
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(message, dict):
            continue
        if isinstance(message.get("content"), list):
            choice["message"] = message = _spoken(message)
        if calls := message.get("tool_calls"):
            choice["message"] = message | {"tool_calls": _calls(calls, names)}
    return given


def _spoken(said: Json) -> Json:
    """Return a message or delta whose parts have become one text, and its thoughts another."""
    texts, thoughts = [], []
    for part in said["content"]:
        part = part if isinstance(part, dict) else {"text": part}
        thought = part.get("thinking")
        if thought is not None:
            thoughts += [_text(each) for each in thought] if isinstance(thought, list) else [_text(thought)]
        else:
            texts.append(_text(part))
    told = said | {"content": "".join(texts) or None}
    known = said.get("reasoning_content") or said.get("reasoning")
    return told | {"reasoning_content": "".join(thoughts)} if thoughts and not known else told


def _text(part: Any) -> str:
    text = part.get("text") if isinstance(part, dict) else part
    return text if isinstance(text, str) else ""


def _calls(given: Any, names: Mapping[str, str]) -> list[Json]:
    """Return calls whose arguments are text, of functions as the caller named them."""
    calls = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    calls = [_with_text(each) if type(_dict(each.get("function")).get("arguments")) is dict else each for each in calls]
    return [_with_own_name(each, names) for each in calls] if names else calls


def _with_own_name(call: Json, names: Mapping[str, str]) -> Json:
    function = _dict(call.get("function"))
    name = function.get("name")
    own = names.get(name) if isinstance(name, str) else None
    return call if own is None else call | {"function": function | {"name": own}}


def _with_text(call: Json) -> Json:
    function = call["function"]
    try:
        arguments = orjson.dumps(function["arguments"]).decode()
    except TypeError:  # nested deeper than can be written
        arguments = ""
    return call | {"function": function | {"arguments": arguments}}


def _dict(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
