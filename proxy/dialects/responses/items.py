"""The output items of a Response, and the object around them."""

import re
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import orjson

from accounts.prices import Usage
from proxy.dialects.base import Asked
from proxy.dialects.responses.state import objects
from proxy.dialects.responses.tools import Tool, input_of
from proxy.providers.openai import MAX_TOKENS, parse_usage

Json = dict[str, Any]
BASE_LENGTH = 48
CALL_IDS = {"function": "fc", "custom": "ctc", "tool_search": "tsc"}
COMPLETED, INCOMPLETE, IN_PROGRESS = "completed", "incomplete", "in_progress"
# Why an answer is incomplete, by chat's finish reason.
REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}
# What a Response repeats of the request, and what it says where nothing was asked.
REPEATED: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}

_ODD = re.compile(r"[^A-Za-z0-9_-]")
_PICTURE = re.compile(r"data:image/([a-z0-9.+-]+);base64,")


def response(asked: Asked, source: Mapping[str, Any], status: str, output: list[Any], **more: Any) -> Json:
    """Return a Response. `source` is the completion, or a chunk of it, that id, model and time are taken from."""
    shape: Json = {
        "id": f"resp_{base_of(source, asked)}",
        "object": "response",
        "created_at": source["created"] if isinstance(source.get("created"), int | float) else 0,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": source["model"] if isinstance(source.get("model"), str) else asked.model,
        "output": output,
        "previous_response_id": None,
        "store": False,
        "usage": None,
    }
    if isinstance(tier := source.get("service_tier"), str):
        shape["service_tier"] = tier
    shape |= {name: default if (own := asked.body.get(name)) is None else own for name, default in REPEATED.items()}
    if not shape["text"].get("format"):
        shape["text"] = shape["text"] | REPEATED["text"]
    return shape | more


def base_of(source: Mapping[str, Any], asked: Asked) -> str:
    """Return what the ids of a Response and its items are made from: the completion's id, or else the request.

    OpenAI takes ids of up to 64 characters, should the conversation go there next.
    """
    known = source.get("id")
    if not isinstance(known, str) or not known:
        return blake2b(asked.raw, digest_size=12).hexdigest()
    return _ODD.sub("_", known.removeprefix("chatcmpl-"))[:BASE_LENGTH]


def call_item_id(tool: Tool, base: str, place: int) -> str:
    return f"{CALL_IDS[tool.kind]}_{base}_{place}"


def reasoning(item_id: str, text: str, packed: str, status: str) -> Json:
    item: Json = {"id": item_id, "type": "reasoning", "status": status}
    item["summary"] = [{"type": "summary_text", "text": text}] if text else []
    return item | {"encrypted_content": packed} if packed else item


def message(item_id: str, parts: list[Json], status: str) -> Json:
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": parts}


def text_part(text: str, annotations: list[Json], logprobs: list[Json]) -> Json:
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs}


def nothing(status: str) -> list[Json]:
    """Return the parts of a message that says nothing: an empty text, but none that was to be more.

    OpenAI's SDK reads each text as the JSON that was asked for, and raises where it is none.
    """
    return [] if status == INCOMPLETE else [text_part("", [], [])]


def refusal_part(text: str) -> Json:
    return {"type": "refusal", "refusal": text}


def call(tool: Tool, item_id: str, call_id: str, arguments: str, status: str) -> Json:
    """Return the item that calls `tool`, in the kind that the caller knows it as."""
    item: Json = {"id": item_id, "type": f"{tool.kind}_call", "status": status, "call_id": call_id}
    if tool.kind == "custom":
        item |= {"type": "custom_tool_call", "name": tool.name, "input": input_of(arguments)}
    elif tool.kind == "tool_search":
        item |= {"execution": "client", "arguments": _object(arguments)}
    else:
        item |= {"name": tool.name, "arguments": arguments}
    return item | {"namespace": tool.namespace} if tool.namespace else item


def picture(made: Json) -> Json | None:
    """Return the item, without its id, for a picture that a model made: in chat that is a data URL of base64."""
    image = made.get("image_url")
    url = image.get("url") if isinstance(image, dict) else None
    match = _PICTURE.match(url) if isinstance(url, str) else None
    if match is None or not isinstance(url, str):
        return None
    result, form = url[match.end() :], match[1]
    return {"type": "image_generation_call", "status": COMPLETED, "result": result, "output_format": form}


def annotations(found: Any) -> list[Json]:
    """Return chat's citations in their flat form; others than whole URL citations have none."""
    cited = [each.get("url_citation") for each in objects(found)]
    names = ("start_index", "end_index", "url", "title")
    return [
        {"type": "url_citation"} | {name: each[name] for name in names}
        for each in cited
        if isinstance(each, dict) and all(name in each for name in names)
    ]


def logprobs(found: Any) -> list[Json]:
    """Return chat's log probabilities of tokens, which look the same here."""
    tokens = objects(found.get("content")) if isinstance(found, dict) else []
    return [
        {
            "token": token.get("token", ""),
            "logprob": token.get("logprob", 0.0),
            "bytes": token.get("bytes") or [],
            "top_logprobs": [top | {"bytes": top.get("bytes") or []} for top in objects(token.get("top_logprobs"))],
        }
        for token in tokens
    ]


def usage_object(usage: Usage) -> Json:
    """Return the usage of a Response, which counts cached tokens in the input and reasoning in the output."""
    return {
        "input_tokens": usage.tokens_in,
        "input_tokens_details": {
            "cached_tokens": usage.tokens_cached,
            "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
        },
        "output_tokens": usage.tokens_out,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.tokens_in + usage.tokens_out,
    }


def usage_of(body: Mapping[str, Any]) -> Usage | None:
    """Return the usage that a Response reports in disjoint classes, None if it reports none or nonsense."""
    reported = body.get("usage")
    if not isinstance(reported, dict):
        return None
    usage = parse_usage(
        {
            "prompt_tokens": reported.get("input_tokens", MAX_TOKENS + 1),
            "completion_tokens": reported.get("output_tokens", 0),
            "prompt_tokens_details": reported.get("input_tokens_details"),
            "completion_tokens_details": reported.get("output_tokens_details"),
        },
        body.get("service_tier"),
    )
    searches = sum(map(_searched, objects(body.get("output"))))
    return replace(usage, searches=searches) if usage is not None and searches else usage


def _searched(item: Json) -> bool:
    """Say whether an item is a search of the web, which is billed beside the tokens; opening a page is not."""
    action = item.get("action")
    kind = action.get("type", "search") if isinstance(action, dict) else "search"
    return item.get("type") == "web_search_call" and item.get("status") != "failed" and bool(kind == "search")


def _object(arguments: str) -> Any:
    try:
        return orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        return arguments
