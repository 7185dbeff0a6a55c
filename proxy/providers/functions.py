"""Functions of a translated chat as OpenAI takes them, and with it many who speak its dialect.

Anthropic and Google allow longer names, and Google other letters. Neither asks that an object's schema list its
properties where it has none, as OpenAI does. What a function brings is text there: pictures and files are the user's.
"""

from typing import Any

from proxy.body import Json
from proxy.providers.names import OPENAI, wire_name

BELOW = "(The tool's pictures and documents follow in the next message.)"


def taken(body: Json) -> Json:
    """Return a chat request whose functions OpenAI takes; the same one where it takes them as they are."""
    told = body | {"messages": [_message(each) for each in _with_text_alone(body["messages"])]}
    if body.get("tools"):
        told["tools"] = [_tool(each) for each in body["tools"]]
    if isinstance(choice := body.get("tool_choice"), dict):
        told["tool_choice"] = _choice(choice)
    return body if told == body else told


def _with_text_alone(messages: list[Json]) -> list[Json]:
    """Return messages with what else than text tools brought put in front of what the user says next."""
    told: list[Json] = []
    shown: list[Json] = []
    for message in messages:
        content, role = message.get("content"), message["role"]
        if role == "tool" and isinstance(content, list):
            texts = [part["text"] for part in content if part["type"] == "text"]
            shown += (others := [part for part in content if part["type"] != "text"])
            message = message | {"content": "\n".join([*texts, BELOW])} if others else message
        elif role != "tool" and shown:
            said = {"type": "text", "text": content} if isinstance(content, str) else None
            if role == "user":
                message = message | {"content": shown + ([said] if said else content or [])}
            else:
                told.append({"role": "user", "content": shown})
            shown = []
        told.append(message)
    return [*told, {"role": "user", "content": shown}] if shown else told


def _message(message: Json) -> Json:
    calls = message.get("tool_calls")
    return message | {"tool_calls": [_named(each) for each in calls]} if calls else message


def _tool(tool: Json) -> Json:
    tool = _named(tool)
    parameters = tool["function"].get("parameters")
    if not isinstance(parameters, dict) or parameters.get("type") != "object" or "properties" in parameters:
        return tool
    return tool | {"function": tool["function"] | {"parameters": parameters | {"properties": {}}}}


def _choice(choice: Json) -> Json:
    if choice.get("type") != "allowed_tools":
        return _named(choice)
    allowed = choice["allowed_tools"]
    return choice | {"allowed_tools": allowed | {"tools": [_named(each) for each in allowed["tools"]]}}


def _named(holder: Json) -> Json:
    """Return a tool, a call or a choice under the name of its function that OpenAI is told."""
    function: dict[str, Any] = holder["function"]
    name = wire_name(function["name"], OPENAI)
    return holder if name == function["name"] else holder | {"function": function | {"name": name}}
