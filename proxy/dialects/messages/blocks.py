"""Content blocks as OpenAI's parts and messages: what a user said, what tools brought, what the assistant answered."""

from typing import Any

import orjson

from proxy.dialects import checks
from proxy.dialects.base import Json
from proxy.errors import BadRequest
from proxy.providers.functions import BELOW

FAILED = "Error: "  # before what a tool brought, where the caller says that it failed


def text_of(holder: Json, name: str, path: str) -> str:
    """Return text from a member that is a string or an array of text blocks, which are joined by a blank line."""
    if type(holder.get(name)) is str:
        return str(holder[name])
    texts = []
    for place, block in enumerate(checks.objects(holder, name, path=path)):
        here = f"{path}{name}.{place}."
        if block.get("type") != "text":
            raise cannot(f"{here}type", "only text can stand here.")
        texts.append(checks.required(block, "text", str, path=here))
    return "\n\n".join(texts)


def user(message: Json, path: str) -> list[Json]:
    """Return the messages that a user's turn amounts to: what each tool brought, then what the user said."""
    content = message["content"]
    if type(content) is str:
        return [{"role": "user", "content": content}]
    results: list[Json] = []
    seen: list[Json] = []  # what tools brought and a tool's message cannot hold
    said: list[Json] = []
    for place, block in enumerate(content):
        here = f"{path}content.{place}."
        if block.get("type") == "tool_result":
            result, more = _result(block, here)
            results.append(result)
            seen += more
        else:
            said += parts(block, here)
    words = seen + said
    if not words and results:
        return results
    return [*results, {"role": "user", "content": _simple(words)}]


def _simple(words: list[Json]) -> Any:
    """A single text goes as a string, which everybody understands."""
    if not words:
        return ""
    return words[0]["text"] if len(words) == 1 and words[0]["type"] == "text" else words


def _result(block: Json, path: str) -> tuple[Json, list[Json]]:
    """Return the tool's message, and the parts of it that have to go into the user's."""
    content = block.get("content")
    found: list[Json] = []
    if type(content) is str:
        found = [_text(content)]
    else:
        for place, each in enumerate(checks.objects(block, "content", path=path)):
            found += parts(each, f"{path}content.{place}.")
    texts = [each["text"] for each in found if each["type"] == "text"]
    others = [each for each in found if each["type"] != "text"]
    if others:
        texts.append(BELOW)
    told = "\n".join(texts)
    if checks.optional(block, "is_error", bool, path=path):
        told = FAILED + told
    called = checks.required(block, "tool_use_id", str, path=path)
    return {"role": "tool", "tool_call_id": called, "content": told}, others


def parts(block: Json, path: str) -> list[Json]:
    """Return the parts that a block amounts to. Raises BadRequest for a block that only Anthropic understands."""
    kind = block.get("type")
    if kind == "text":
        return [_text(checks.required(block, "text", str, path=path))]
    if kind == "image":
        return [_picture(_source(block, path), f"{path}source.")]
    if kind == "document":
        return _document(block, path)
    if kind == "search_result":
        return [_text(_found(block, path))]
    raise cannot(f"{path}type", f"content of type {_shown(kind)} cannot be sent to this model.")


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _source(block: Json, path: str) -> Json:
    return checks.required(block, "source", dict, path=path)


def _picture(source: Json, path: str) -> Json:
    kind = source.get("type")
    if kind == "url":
        url = checks.required(source, "url", str, path=path)
    elif kind == "base64":
        url = _data_url(source, path)
    else:
        raise cannot(f"{path}type", "a picture must be sent as base64 or by its URL.")
    return {"type": "image_url", "image_url": {"url": url}}


def _data_url(source: Json, path: str) -> str:
    media = checks.required(source, "media_type", str, path=path)
    return f"data:{media};base64,{checks.required(source, 'data', str, path=path)}"


def _address(source: Json, path: str) -> str:
    url: str = checks.required(source, "url", str, path=path)
    if url[:8].lower() != "https://":
        raise cannot(f"{path}url", "it must be an https: URL.")
    return url


def _document(block: Json, path: str) -> list[Json]:
    source, here = _source(block, path), f"{path}source."
    title, context = (checks.optional(block, name, str, path=path) for name in ("title", "context"))
    kind = source.get("type")
    about = [_text(context)] if context else []  # what the caller says of the document, beside its words
    if kind in ("base64", "url"):
        data = _data_url(source, here) if kind == "base64" else _address(source, here)
        file = {"filename": title or "document.pdf", "file_data": data}
        return [*about, {"type": "file", "file": file}]
    if kind == "text":
        text = checks.required(source, "data", str, path=here)
        return [_text("\n\n".join(each for each in (title, context, text) if each))]
    if kind == "content":
        return [*about, *_inner(source, here, title)]
    raise cannot(f"{here}type", "a document must be sent as base64, as text or by its URL.")


def _inner(source: Json, path: str, title: str | None) -> list[Json]:
    found = [_text(title)] if title else []
    if type(source.get("content")) is str:
        return [*found, _text(source["content"])]
    for place, each in enumerate(checks.objects(source, "content", path=path)):
        found += parts(each, f"{path}content.{place}.")
    return found


def _found(block: Json, path: str) -> str:
    title = checks.optional(block, "title", str, path=path) or ""
    source = checks.optional(block, "source", str, path=path) or ""
    return "\n".join(each for each in (title, source, text_of(block, "content", path)) if each)


def assistant(message: Json, path: str) -> Json:
    """Return an earlier answer. Signed thoughts stay behind: they are Anthropic's own, and mean nothing elsewhere."""
    content = message["content"]
    if type(content) is str:
        return {"role": "assistant", "content": content}
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[Json] = []
    for place, block in enumerate(content):
        here = f"{path}content.{place}."
        kind = block.get("type")
        if kind == "text":
            texts.append(checks.required(block, "text", str, path=here))
        elif kind == "tool_use":
            calls.append(_call(block, here))
        elif kind == "thinking":
            # Without a signature it came from another provider by way of us, which may want it back.
            thoughts += [] if block.get("signature") else [checks.required(block, "thinking", str, path=here)]
        elif kind != "redacted_thinking":
            raise cannot(f"{here}type", f"content of type {_shown(kind)} cannot be sent to this model.")
    answer: Json = {"role": "assistant", "content": "".join(texts) or (None if calls else "")}
    if thoughts := [each for each in thoughts if each]:
        answer["reasoning_content"] = "".join(thoughts)
    return answer | {"tool_calls": calls} if calls else answer


def _call(block: Json, path: str) -> Json:
    function = {
        "name": checks.required(block, "name", str, path=path),
        "arguments": orjson.dumps(checks.required(block, "input", dict, path=path)).decode(),
    }
    call = {"id": checks.required(block, "id", str, path=path), "type": "function", "function": function}
    extra = block.get("extra_content")  # what we put there ourselves, for a provider that wants it back
    return call | {"extra_content": extra} if isinstance(extra, dict) else call


def cannot(name: str, why: str) -> BadRequest:
    """Return the error for what only Anthropic understands. Its shape of errors names parameters in the text only."""
    return checks.unsupported(name, f"{name}: {why}")


def _shown(kind: Any) -> str:
    return repr(kind[:64]) if isinstance(kind, str) else "unknown"
