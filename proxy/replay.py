"""From a stream's events to the answer they amount to, and back: what lets streamed and plain calls share the cache."""

from typing import Any

import orjson

from accounts.prices import Usage
from proxy import sse
from proxy.cache import keepable
from proxy.delivery import cost_text

Json = dict[str, Any]
NOTHING = b"{}"
SAID_WHOLE = frozenset({"id", "type", "role"})  # what a later piece says again instead of going on


def answer_of(transcript: bytes, usage: Usage, *, rename: str = "") -> bytes:
    """Return the JSON of the answer that a whole stream amounts to, with `rename` as its model if given.

    NOTHING where it amounts to none, or to one that is not to be given again; events of a shape we do not know do too.
    """
    try:
        answer = assemble(transcript) or {}
        answer = answer if keepable(answer) else {}
    except (TypeError, AttributeError, ValueError):
        answer = {}
    if answer:
        answer.setdefault("usage", _usage(usage))  # a translated stream keeps its usage apart
        if rename:
            answer["model"] = rename
    return orjson.dumps(answer)


def assemble(transcript: bytes) -> Json | None:
    """Return the chat completion that a stream's events amount to, None if they amount to none."""
    answer: Json | None = None
    choices: dict[int, Json] = {}
    for event in sse.events(transcript):
        data = sse.data_of(event)
        if not data or data[:1] != b"{":
            continue
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            continue
        if answer is None:
            answer = {name: value for name, value in chunk.items() if name not in {"choices", "obfuscation", "usage"}}
        if chunk.get("usage"):
            answer["usage"] = chunk["usage"]
        for choice in chunk.get("choices") or []:
            index = choice.get("index", 0)
            if index not in choices:
                choices[index] = _empty(index)
            _add(choices[index], choice)
    if answer is None or not choices:
        return None
    return answer | {"object": "chat.completion", "choices": [_closed(choices[index]) for index in sorted(choices)]}


def _empty(index: int) -> Json:
    return {"index": index, "message": {"role": "assistant", "content": None}, "logprobs": None, "finish_reason": None}


def _add(whole: Json, part: Json) -> None:
    """Put one chunk's choice onto what there is. Raises ValueError for what cannot be put together from its pieces."""
    message = whole["message"]
    for name, value in (part.get("delta") or {}).items():
        if name == "audio" and value is not None:
            raise ValueError("pieces of base64 do not add up to base64")
        if name == "tool_calls":
            _add_calls(message.setdefault("tool_calls", {}), value or [])
        else:
            _merge(message, name, value)
    if part.get("finish_reason"):
        whole["finish_reason"] = part["finish_reason"]
    if isinstance(part.get("logprobs"), dict):
        kept = whole["logprobs"] = whole["logprobs"] or {}
        for name, items in part["logprobs"].items():
            kept[name] = (kept.get(name) or []) + items if isinstance(items, list) else items


def _add_calls(calls: dict[int, Json], parts: list[Json]) -> None:
    for part in parts:
        place = part.get("index")
        call = calls.setdefault(_place_of(part, calls) if place is None else place, {})
        for name, value in part.items():
            if name == "function" and isinstance(value, dict):
                call.setdefault("function", {"name": "", "arguments": ""})
            if name != "index":
                _merge(call, name, value)


def _place_of(part: Json, calls: dict[int, Json]) -> int:
    """Return where a piece without an index belongs: to the call of its id, else to the last one."""
    id = part.get("id")
    if not id:
        return max(calls, default=0)
    return next((place for place, call in calls.items() if call.get("id") == id), len(calls))


def _merge(whole: Json, name: str, value: Any) -> None:
    """Put a piece onto what there is under `name`: text and lists are joined, objects by member, the rest replaced."""
    have: Any = whole.get(name)
    if name in SAID_WHOLE:
        whole[name] = value or have
    elif isinstance(have, dict) and isinstance(value, dict):
        for inner, piece in value.items():
            _merge(have, inner, piece)
    elif type(value) in {str, list} and type(have) is type(value):
        whole[name] = have + value
    elif value is not None or name not in whole:
        whole[name] = value


def _closed(choice: Json) -> Json:
    message = choice["message"]
    if isinstance(message.get("tool_calls"), dict):
        message["tool_calls"] = [message["tool_calls"][index] for index in sorted(message["tool_calls"])]
    return choice


def as_stream(answer: Json, *, usage: Usage | None, wants_usage: bool) -> bytes:
    """Return the events of a stream that gives `answer` again, ended by the cost (nothing) and `[DONE]`."""
    shape = {name: value for name, value in answer.items() if name not in {"choices", "usage"}}
    shape["object"] = "chat.completion.chunk"
    parts = []
    for choice in answer.get("choices") or []:
        message = dict(choice.get("message") or {})
        calls = message.pop("tool_calls", None)
        if calls:
            message["tool_calls"] = [{"index": place} | call for place, call in enumerate(calls)]
        first = {
            "index": choice.get("index", 0),
            "delta": message,
            "logprobs": choice.get("logprobs"),
            "finish_reason": None,
        }
        last = {
            "index": choice.get("index", 0),
            "delta": {},
            "logprobs": None,
            "finish_reason": choice.get("finish_reason"),
        }
        parts += [_event(shape | {"choices": [first]}), _event(shape | {"choices": [last]})]
    if wants_usage:
        reported = answer.get("usage") or _usage(usage or Usage())
        parts.append(_event({"cost": cost_text(0)} | shape | {"choices": [], "usage": reported}))
    return b"".join(parts) + sse.comment(f"x-request-cost={cost_text(0)}") + sse.DONE


def _event(chunk: Json) -> bytes:
    return sse.encode(orjson.dumps(chunk))


def _usage(usage: Usage) -> Json:
    prompt, completion = usage.tokens_in, usage.tokens_out
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
