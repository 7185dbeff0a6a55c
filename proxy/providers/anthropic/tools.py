"""Tools and how they may be chosen: OpenAI's functions as Anthropic's tools."""

from typing import Any

from proxy.body import Json
from proxy.errors import BadRequest
from proxy.providers.anthropic import parts, schema, shape
from proxy.providers.anthropic.draft import Draft
from proxy.providers.draft import FUNCTION, TOOL
from proxy.providers.legacy import choice_of, is_legacy
from proxy.providers.names import wire_name

_UNIONS = ("anyOf", "oneOf", "allOf")
_MODES = {"auto": "auto", "none": "none", "required": "any"}


def translate(body: Json, draft: Draft) -> tuple[list[Json], Json | None]:
    """Return the tools and the choice among them, None where there is nothing to say about it."""
    tools = []
    for place, each in enumerate(shape.array(body.get("tools") or [], "tools")):
        tools.append(_tool(shape.an_object(each, f"tools[{place}]"), f"tools[{place}]", draft))
    for place, each in enumerate(shape.array(body.get("functions") or [], "functions")):
        tools.append(_function(shape.an_object(each, f"functions[{place}]"), f"functions[{place}]", draft))
    asked, param = choice_of(body)
    if type(asked) is dict and asked.get("type") == "allowed_tools":
        tools, asked = _allowed(tools, asked, param)
        param = f"{param}.allowed_tools"
    return tools, _choice(body, tools, asked, param, draft)


def _tool(tool: Json, param: str, draft: Draft) -> Json:
    kind = tool.get("type", "function")
    if kind != "function":
        raise draft.refuse(f"{param}.type", "only tools of type 'function' can be sent.")
    draft.note_unknown(tool, TOOL, "tools")
    function = shape.an_object(tool.get("function"), f"{param}.function")
    return parts.marked(_function(function, f"{param}.function", draft), tool, param)


def _function(function: Json, param: str, draft: Draft) -> Json:
    draft.note_unknown(function, FUNCTION, "tools.function")
    name = shape.text(function.get("name"), f"{param}.name")
    if not name:
        raise BadRequest(f"'{param}.name' must not be empty.", param=f"{param}.name")
    tool: Json = {"name": wire_name(name)}
    if function.get("description") is not None:
        tool["description"] = shape.text(function["description"], f"{param}.description")
    parameters = _parameters(function.get("parameters"), f"{param}.parameters", draft)
    strict = function.get("strict") is not None and shape.boolean(function["strict"], f"{param}.strict")
    tool["input_schema"] = schema.strict(parameters) if strict else parameters
    if strict:
        tool["strict"] = True
    return parts.marked(tool, function, param)


def _parameters(value: Any, param: str, draft: Draft) -> Json:
    given = shape.an_object({} if value is None else value, param)
    for union in _UNIONS:
        if union in given:
            raise draft.refuse(
                f"{param}.{union}", f"a tool's parameters must be one object, without {union} at the top."
            )
    if given.get("type") not in (None, "object"):
        raise draft.refuse(f"{param}.type", "a tool's parameters must be of type 'object'.")
    return {"type": "object"} | given if "properties" in given else {"type": "object", "properties": {}} | given


def _allowed(tools: list[Json], asked: Json, param: str) -> tuple[list[Json], Any]:
    """Return the tools that `allowed_tools` leaves, and its mode."""
    name = f"{param}.allowed_tools"
    listed = shape.an_object(asked.get("allowed_tools"), name)
    names = set()
    for place, each in enumerate(shape.array(listed.get("tools"), f"{name}.tools")):
        names.add(wire_name(_named(each, f"{name}.tools[{place}]")))
    left = [tool for tool in tools if tool["name"] in names]
    if len(left) < len(names):
        raise BadRequest(f"'{name}.tools' names a tool that is not among the tools.", param=f"{name}.tools")
    return left, listed.get("mode", "auto")


def _named(value: Any, param: str) -> str:
    entry = shape.an_object(value, param)
    function = shape.an_object(entry.get("function", entry), f"{param}.function")
    return shape.text(function.get("name"), f"{param}.function.name")


def _choice(body: Json, tools: list[Json], asked: Any, param: str, draft: Draft) -> Json | None:
    parallel = body.get("parallel_tool_calls")
    if parallel is not None:
        parallel = shape.boolean(parallel, "parallel_tool_calls")
    if not tools:
        if asked not in (None, "auto", "none"):
            raise BadRequest(f"'{param}' asks for a tool, but there are no tools.", param=param)
        return None
    choice = _mode(asked, param, tools, draft)
    # Callers who speak of functions know of one call at a time.
    if (parallel is False or is_legacy(body)) and (choice is None or choice["type"] != "none"):
        choice = (choice or {"type": "auto"}) | {"disable_parallel_tool_use": True}
    return choice


def _mode(asked: Any, param: str, tools: list[Json], draft: Draft) -> Json | None:
    if asked is None:
        return None
    if type(asked) is dict:
        choice = _one(asked, param, tools, draft)
    elif type(asked) is str and asked in _MODES:
        choice = {"type": _MODES[asked]}
    else:
        raise BadRequest(f"'{param}' must be 'auto', 'none', 'required' or a tool.", param=param)
    if choice["type"] in {"any", "tool"} and not draft.can.forced_tools:
        raise draft.refuse(param, "this model cannot be made to call a tool; send 'auto'.")
    return choice


def _one(asked: Json, param: str, tools: list[Json], draft: Draft) -> Json:
    if asked.get("type", "function") != "function":
        raise draft.refuse(f"{param}.type", "only a tool of type 'function' can be chosen.")
    name = wire_name(_named(asked, param))
    if all(tool["name"] != name for tool in tools):
        raise BadRequest(f"'{param}' names a tool that is not among the tools.", param=param)
    return {"type": "tool", "name": name}
