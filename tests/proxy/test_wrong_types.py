"""A wrong type in any place of a request, on any surface, at any kind: sent on, or refused by name; never a fault."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.dialects.base import Dialect
from proxy.dialects.completions import Completions
from proxy.dialects.messages import Messages
from proxy.dialects.responses import Responses
from proxy.errors import GatewayError
from tests.proxy.test_any_request import Asked, asked

__all__ = ["asked"]

# Among them what has no hash, and what has a type that has none.
ODD: list[Any] = [True, "x", [], {}, [[]], {"type": []}, [{"type": {}}]]
PICTURE = "data:image/png;base64,iVBORw0KGgo="
MARK = {"type": "ephemeral"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
CHAT: dict[str, Any] = {
    "messages": [
        {"role": "developer", "content": [{"type": "text", "text": "d", "cache_control": MARK}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hello"},
                {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            "thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "s"}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "r"}]},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": False}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
    "stop": ["x"],
    "reasoning_effort": "low",
    "metadata": {"a": "b"},
    "modalities": ["text"],
    "user": "u",
    "max_completion_tokens": 100,
    "temperature": 0.5,
    "n": 1,
    "parallel_tool_calls": False,
    "service_tier": "auto",
}
MESSAGES: dict[str, Any] = {
    "max_tokens": 100,
    "system": [{"type": "text", "text": "s", "cache_control": MARK}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "q"}, "title": "t"},
                {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "q"}]},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": ""},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "r"}]}],
        },
    ],
    "tools": [{"name": "f", "input_schema": SCHEMA, "strict": True}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    "stop_sequences": ["x"],
    "temperature": 0.5,
    "top_k": 3,
    "metadata": {"user_id": "u"},
    "service_tier": "auto",
}
RESPONSES: dict[str, Any] = {
    "instructions": "i",
    "input": [
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "q"}, {"type": "input_image", "image_url": PICTURE}],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "t"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "r"}]},
    ],
    "tools": [
        {"type": "function", "name": "f", "parameters": SCHEMA, "strict": False},
        {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
        {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "g", "parameters": SCHEMA}]},
    ],
    "tool_choice": {"type": "function", "name": "f"},
    "text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}, "verbosity": "low"},
    "reasoning": {"effort": "low"},
    "include": ["reasoning.encrypted_content"],
    "max_output_tokens": 100,
    "metadata": {"a": "b"},
    "store": False,
}
COMPLETIONS: dict[str, Any] = {"prompt": ["Hello"], "max_tokens": 5, "stop": ["x"], "echo": False, "logit_bias": {}}
SURFACES: dict[str, tuple[Dialect | None, dict[str, Any]]] = {
    "chat": (None, CHAT),
    "messages": (Messages(), MESSAGES),
    "responses": (Responses(), RESPONSES),
    "completions": (Completions(), COMPLETIONS),
}
Path = tuple[Any, ...]


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    if path:
        yield path
    names = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for name in names:
        yield from places(value[name], (*path, name))


def changed(body: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    body = copy.deepcopy(body)
    holder: Any = body
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    return body


@pytest.mark.parametrize("surface", SURFACES)
def test_a_wrong_type_anywhere_is_sent_on_or_refused_by_name(asked: Asked, surface: str) -> None:
    dialect, body = SURFACES[surface]
    for path in places(body):
        for odd in ODD:
            said = asked(changed(body, path, odd) | {"model": "m0"}, dialect)
            if isinstance(said, GatewayError):
                assert (said.status, bool(said.param)) == (400, True), (path, odd, said.message)
