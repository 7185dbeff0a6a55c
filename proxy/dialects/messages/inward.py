"""A request in Anthropic's dialect as an OpenAI chat request, for targets that speak anything else."""

import hashlib
from collections.abc import Iterator
from typing import Any

from proxy.dialects import checks
from proxy.dialects.base import Json
from proxy.dialects.messages import blocks
from proxy.dialects.messages.blocks import cannot
from proxy.errors import BadRequest

USER_LIMIT = 64  # characters of an end user's id at OpenAI; Claude Code sends longer ones
EFFORTS = ("low", "medium", "high", "xhigh", "max")
_MODES = {"auto": "auto", "any": "required", "none": "none"}
# What changes where or on what the model works, and so cannot be left out.
_REFUSED = ("container", "mcp_servers", "thread", "inference_geo")
# What a block may have beside its words, and only Anthropic acts on.
_HINTS = ("cache_control", "citations")
_TOOL = frozenset({"type", "name", "description", "input_schema", "strict", "cache_control"})
_MESSAGE = frozenset({"role", "content"})
_BLOCK = frozenset(
    (
        *("type", "text", "source", "title", "context", "content", "tool_use_id", "is_error", "id", "name", "input"),
        *("thinking", "signature", "data", "extra_content", *_HINTS),
    )
)
# Settings that are said again in chat, and what of them is.
_SETTINGS = {
    "thinking": frozenset({"type", "budget_tokens", "display"}),
    "output_config": frozenset({"effort", "format"}),
    "metadata": frozenset({"user_id"}),
    "tool_choice": frozenset({"type", "name", "disable_parallel_tool_use"}),
}
_FORMAT = frozenset({"type", "schema"})
THINKING = ("enabled", "disabled", "adaptive", "between_tools")
_TRANSLATED = frozenset(
    (
        *("model", "messages", "system", "max_tokens", "stream", "stop_sequences", "temperature", "top_p", "metadata"),
        *("tools", "tool_choice", "thinking", "output_config", "output_format", "service_tier", *_REFUSED),
    )
)


def chat(body: Json, model: str, *, stream: bool) -> Json:
    """Return the chat request. Raises BadRequest naming the caller's own parameter for what it cannot say."""
    for name in _REFUSED:
        if body.get(name):
            raise cannot(name, "only Anthropic's own models know this parameter.")
    asked: Json = {"model": model, "messages": list(_messages(body))}
    length = checks.whole(body, "max_tokens", 0)
    if length == 0:
        raise cannot("max_tokens", "only Anthropic's own models take 0; it must be at least 1.")
    asked |= {"max_completion_tokens": length, "stream": stream or None}
    asked |= {"temperature": checks.number(body, "temperature", 0, 1), "top_p": checks.number(body, "top_p", 0, 1)}
    asked |= {"stop": _stops(body), "reasoning_effort": _effort(body), "response_format": _format(body)}
    asked |= _tools(body) | _about_the_caller(body)
    return {name: value for name, value in asked.items() if value is not None}


def hints(body: Json) -> tuple[str, ...]:
    """Return the names of members that are left out without changing what is asked for."""
    names = [name for name, value in body.items() if name not in _TRANSLATED and value is not None]
    for block in _all_blocks(body):
        names += [name for name in _HINTS if _says(block.get(name))]
    names += [*_unthought(body), *_unknown(body)]
    return tuple(dict.fromkeys(name[:64] for name in names))


def _unthought(body: Json) -> Iterator[str]:
    """Yield what is asked of thinking and an effort cannot say; that thoughts be summed up is how others tell them."""
    thinking, config = body.get("thinking") or {}, body.get("output_config") or {}
    if thinking.get("type") == "between_tools" or (thinking.get("type") == "disabled" and config.get("effort")):
        yield "thinking"
    elif thinking.get("budget_tokens") is not None and config.get("effort") is not None:
        yield "thinking.budget_tokens"
    if thinking.get("display") not in (None, "summarized"):
        yield "thinking.display"


def _says(hint: Any) -> bool:
    """Say whether a hint asks for something; the citations of an earlier answer, a list, do not."""
    return isinstance(hint, dict) and hint.get("enabled") is not False


def _unknown(body: Json) -> Iterator[str]:
    """Yield the names of members of tools, messages and their blocks that nobody here knows."""
    for tool in body.get("tools") or []:
        yield from _beyond(tool, _TOOL, "tools")
    for message in body["messages"]:
        yield from _beyond(message, _MESSAGE, "messages")
        for block in _blocks(message["content"]):
            yield from _beyond(block, _BLOCK, "messages.content")
    for block in _blocks(body.get("system")):
        yield from _beyond(block, _BLOCK, "system")
    for name, known in _SETTINGS.items():
        yield from _beyond(body.get(name) or {}, known, name)
    config = body.get("output_config") or {}
    yield from _beyond(config.get("format") or {}, _FORMAT, "output_config.format")


def _beyond(holder: Json, known: frozenset[str], path: str) -> Iterator[str]:
    return (f"{path}.{name}" for name in sorted(holder.keys() - known) if holder[name] is not None)


def _blocks(content: Any) -> Iterator[Json]:
    """Yield blocks, and those inside them: what a tool brought, for one."""
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict):
            yield block
            source = block.get("source")
            yield from _blocks(source.get("content") if isinstance(source, dict) else block.get("content"))


def _all_blocks(body: Json) -> Iterator[Json]:
    yield from _blocks(body.get("tools"))
    yield from _blocks(body.get("system"))
    for message in body["messages"]:
        yield from _blocks(message["content"])


def _messages(body: Json) -> Iterator[Json]:
    if system := blocks.text_of(body, "system", ""):
        yield {"role": "system", "content": system}
    for place, message in enumerate(body["messages"]):
        path = f"messages.{place}."
        if message["role"] == "user":
            yield from blocks.user(message, path)
        elif message["role"] == "assistant":
            yield blocks.assistant(message, path)
        else:
            yield {"role": "system", "content": blocks.text_of(message, "content", path)}


def _stops(body: Json) -> list[str] | None:
    stops = checks.optional(body, "stop_sequences", list) or []
    for place, each in enumerate(stops):
        if type(each) is not str:
            raise checks.wrong_type(f"stop_sequences.{place}", "a string")
    return stops or None


def _effort(body: Json) -> str | None:
    """Return the effort: said as such, as none, or in tokens to think with."""
    config = checks.optional(body, "output_config", dict) or {}
    said = checks.one_of(config, "effort", EFFORTS, path="output_config.")
    thinking = checks.optional(body, "thinking", dict) or {}
    kind = checks.one_of(thinking, "type", THINKING, path="thinking.")
    if said is not None or kind != "enabled":
        return "none" if said is None and kind == "disabled" else said
    budget = checks.whole(thinking, "budget_tokens", 1, path="thinking.")
    if budget is None:
        raise checks.missing("thinking.budget_tokens")
    return "low" if budget <= 1024 else "medium" if budget <= 8192 else "high"


def _format(body: Json) -> Json | None:
    config = checks.optional(body, "output_config", dict) or {}
    name, asked = "output_config.format", checks.optional(config, "format", dict, path="output_config.")
    if asked is None:  # said as it was while this was new
        name, asked = "output_format", checks.optional(body, "output_format", dict)
    if asked is None:
        return None
    if asked.get("type") != "json_schema":
        raise cannot(f"{name}.type", "an answer can have the format 'json_schema' only.")
    schema = checks.required(asked, "schema", dict, path=f"{name}.")
    wanted: Json = {"name": "answer", "schema": schema}
    return {"type": "json_schema", "json_schema": wanted | {"strict": True} if _is_strict(schema) else wanted}


def _is_strict(schema: Any) -> bool:
    """Say whether OpenAI would take the schema as a strict one: every object closed, every property required."""
    if isinstance(schema, list):
        return all(_is_strict(each) for each in schema)
    if not isinstance(schema, dict):
        return True
    if "properties" in schema or schema.get("type") == "object":
        properties, needed = schema.get("properties"), schema.get("required")
        if not isinstance(properties, dict) or not isinstance(needed, list):
            return False
        if schema.get("additionalProperties") is not False or any(name not in needed for name in properties):
            return False
        return all(_is_strict(each) for each in properties.values())
    return all(_is_strict(each) for name, each in schema.items() if name not in ("enum", "const", "default"))


def _tools(body: Json) -> Json:
    listed = checks.objects(body, "tools")
    tools = [_tool(tool, f"tools.{place}.") for place, tool in enumerate(listed)]
    choice = checks.optional(body, "tool_choice", dict)
    if not tools:
        return {}
    if choice is None:
        return {"tools": tools}
    alone = checks.optional(choice, "disable_parallel_tool_use", bool, path="tool_choice.")
    return {"tools": tools, "tool_choice": _choice(choice), "parallel_tool_calls": False if alone else None}


def _choice(choice: Json) -> Any:
    kind = choice.get("type")
    if kind == "tool":
        name = checks.required(choice, "name", str, path="tool_choice.")
        return {"type": "function", "function": {"name": name}}
    if type(kind) is not str or kind not in _MODES:
        raise BadRequest("'tool_choice.type' must be 'auto', 'any', 'tool' or 'none'.", param="tool_choice.type")
    return _MODES[kind]


def _tool(tool: Json, path: str) -> Json:
    if tool.get("type") not in (None, "custom"):
        raise cannot(f"{path}type", "only Anthropic's own models have this tool.")
    function: Json = {"name": checks.required(tool, "name", str, path=path)}
    if (description := checks.optional(tool, "description", str, path=path)) is not None:
        function["description"] = description
    function["parameters"] = checks.required(tool, "input_schema", dict, path=path)
    if checks.optional(tool, "strict", bool, path=path):
        function["strict"] = True
    return {"type": "function", "function": function}


def _about_the_caller(body: Json) -> Json:
    metadata = checks.optional(body, "metadata", dict) or {}
    user = checks.optional(metadata, "user_id", str, path="metadata.")
    if user and len(user) > USER_LIMIT:  # as opaque as it was, and the same each time
        user = hashlib.sha256(user.encode()).hexdigest()
    tier = checks.one_of(body, "service_tier", ("auto", "standard_only"))
    return {"user": user or None, "service_tier": {"auto": "auto", "standard_only": "default"}.get(tier or "")}
