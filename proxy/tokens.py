"""Token counts where a provider gave none: an estimate with tiktoken's encodings, whose rank files ship with qlite."""

import asyncio
import logging
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from accounts.prices import Usage
from proxy import sse, words

log = logging.getLogger("qlite.tokens")

OFF_LOOP_BYTES = 20_000  # more than this is counted in a thread, or it would hold up every other request
CL100K_MODELS = ("gpt-4-", "gpt-4", "gpt-3.5", "text-embedding-3", "text-embedding-ada")
MESSAGE_TOKENS = 3  # the frame of each message in OpenAI's chat format
REPLY_TOKENS = 3
IMAGE_TOKENS = 765  # a 1024 x 1024 picture at high detail
BYTES_PER_TOKEN = 4  # where nothing better is known
PIECE = 100_000  # characters counted at once: a million blanks in a row overflow tiktoken's stack


@lru_cache(maxsize=2)
def _encoding(name: str) -> Any:
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(Path(__file__).parent / "tiktoken"))
    import tiktoken

    return tiktoken.get_encoding(name)


def count(text: str, model: str) -> int:
    """Return how many tokens `text` is for `model`; an estimate for models that are not OpenAI's."""
    old = model.startswith(CL100K_MODELS) and not model.startswith(("gpt-4o", "gpt-4.1"))
    encode = _encoding("cl100k_base" if old else "o200k_base").encode_ordinary
    return sum(len(encode(text[start : start + PIECE])) for start in range(0, len(text), PIECE))


def prompt_tokens(body: dict[str, Any], model: str) -> int:
    """Return an estimate of what the provider counts as the prompt of a request, in any dialect."""
    if "messages" not in body:
        return count(words.heard(body), model) + words.tokens_given(body)
    total = REPLY_TOKENS + count(words.heard({"system": body.get("system")}), model)
    for message in map(_dict, _list(body["messages"])):
        texts, images = _texts(message)
        total += MESSAGE_TOKENS + images * IMAGE_TOKENS + count("\n".join(texts), model)
    if body.get("tools"):
        total += count(orjson.dumps(body["tools"]).decode(), model)
    return total


def _texts(message: dict[str, Any]) -> tuple[list[str], int]:
    texts, images = [str(message.get("role", ""))], 0
    content = message.get("content")
    if isinstance(content, str):
        texts.append(content)
    for part in content if isinstance(content, list) else []:
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif isinstance(part, dict) and part.get("type") in ("image_url", "image"):
            images += 1
    texts += [orjson.dumps(call).decode() for call in _list(message.get("tool_calls"))]
    return texts, images


def _list(value: Any) -> list[Any]:
    """What is not a list where one belongs counts nothing: callers and providers send anything."""
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def delivered_text(blocks: list[bytes]) -> str:
    """Return all text that an answer carried, content, reasoning, tool calls: a stream's events, or JSON as it is."""
    whole = b"".join(blocks)
    if whole.lstrip()[:1] in (b"{", b"["):
        return "".join(_spoken(_dict(each)) for each in words.elements(whole))
    parts: list[str] = []
    for event in sse.events(whole):
        data = sse.data_of(event)
        if not data or data == b"[DONE]":
            continue
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            continue
        parts.append(_spoken(_dict(chunk)))
    return "".join(parts)


def _spoken(event: dict[str, Any]) -> str:
    """Return the text in one event, whichever dialect it is in."""
    if "choices" in event:
        return "".join(word for choice in map(_dict, _list(event["choices"])) for word in _choice(choice))
    return words.said(event)


def _choice(choice: dict[str, Any]) -> list[str]:
    text = choice.get("text")  # of the older completions
    return [text] if isinstance(text, str) else _words(_dict(choice.get("delta") or choice.get("message")))


def _words(delta: dict[str, Any]) -> list[str]:
    found = [
        delta[name]
        for name in ("content", "reasoning_content", "reasoning", "refusal")
        if isinstance(delta.get(name), str)
    ]
    for call in map(_dict, _list(delta.get("tool_calls"))):
        function = _dict(call.get("function"))
        found += [function[name] for name in ("name", "arguments") if isinstance(function.get(name), str)]
    return found


def estimate(body: dict[str, Any], model: str, text: str, *, scale: float = 1.0) -> Usage:
    """Return the usage of a request whose answer was `text`; `scale` grows it for text that was not kept."""
    return Usage(input=prompt_tokens(body, model), output=round(count(text, model) * scale))


async def estimate_later(
    body: dict[str, Any], model: str, blocks: list[bytes], prompt_bytes: int, *, scale: float = 1.0
) -> Usage:
    """Estimate off the loop where there is much to count or the encoding is not loaded yet. Never fails."""

    def work() -> Usage:
        try:
            return estimate(body, model, delivered_text(blocks), scale=scale)
        except Exception:
            log.exception("tokens could not be counted; their number is guessed from the bytes")
            size = round(sum(map(len, blocks)) * scale)
            return Usage(input=-(-prompt_bytes // BYTES_PER_TOKEN), output=-(-size // BYTES_PER_TOKEN))

    small = prompt_bytes + sum(map(len, blocks)) < OFF_LOOP_BYTES and _encoding.cache_info().currsize
    return work() if small else await asyncio.to_thread(work)
