"""A chat's tools and its choice among them as Gemini's tools and toolConfig."""

from typing import Any

from proxy.body import Json
from proxy.dialects import checks
from proxy.errors import BadRequest
from proxy.providers.draft import FUNCTION, MARKS, TOOL
from proxy.providers.gemini import names, schema
from proxy.providers.gemini.draft import Draft

MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def put(draft: Draft, body: Json, out: Json) -> None:
    """Put `tools` and `toolConfig` into `out`. Raises BadRequest naming what cannot be said."""
    declared = _declarations(draft, body)
    choice = _choice(draft, body.get("tool_choice"), [each["name"] for each in declared])
    searches = body.get("web_search_options")
    if searches is not None and declared:
        raise draft.refuse("web_search_options", "a search cannot be combined with functions.")
    if declared:
        out["tools"] = [{"functionDeclarations": declared}]
        if body.get("parallel_tool_calls") is False:
            draft.ignore("parallel_tool_calls")
    elif searches is not None:
        out["tools"] = [{"googleSearch": {}}]
        for name in checks.optional(body, "web_search_options", dict) or {}:
            draft.ignore(f"web_search_options.{name}")
    if choice and declared:
        out["toolConfig"] = {"functionCallingConfig": choice}


def _declarations(draft: Draft, body: Json) -> list[Json]:
    for name in ("functions", "function_call"):
        if body.get(name):
            raise draft.refuse(name, "functions must be in 'tools', and the choice among them in 'tool_choice'.")
    tools = checks.objects(body, "tools")
    declared = [_declaration(draft, tool, f"tools[{place}]") for place, tool in enumerate(tools)]
    seen: set[str] = set()
    for place, each in enumerate(declared):
        if each["name"] in seen:
            param = f"tools[{place}].function.name"
            raise BadRequest(f"'{param}' is the name of two functions, or too much like another's.", param=param)
        seen.add(each["name"])
    return declared


def _declaration(draft: Draft, tool: Json, path: str) -> Json:
    if tool.get("type") != "function":
        raise draft.refuse(f"{path}.type", "only tools of the type 'function' can be sent.")
    where = f"{path}.function."
    function = checks.required(tool, "function", dict, path=f"{path}.")
    draft.note_unknown(tool, TOOL, "tools")
    draft.note_unknown(function, FUNCTION, "tools.function")
    for mark in MARKS:
        if tool.get(mark) or function.get(mark):
            draft.ignore(mark)
    declared: Json = {"name": names.sent(checks.required(function, "name", str, path=where))}
    if description := checks.optional(function, "description", str, path=where):
        declared["description"] = description
    parameters = checks.optional(function, "parameters", dict, path=where)
    if parameters is not None and not schema.takes_nothing(parameters):
        declared["parametersJsonSchema"] = schema.tidy(parameters)
    if function.get("strict"):
        draft.ignore("strict")
    return declared


def _choice(draft: Draft, choice: Any, offered: list[str]) -> Json | None:
    """Return the functionCallingConfig, None where nothing was chosen."""
    if choice is None:
        return None
    mode, allowed = _wanted(draft, choice)
    if mode == "ANY" and not offered:
        raise BadRequest("'tool_choice' asks for a tool, but there are no 'tools'.", param="tool_choice")
    for name in allowed:
        if name not in offered:
            raise BadRequest(f"'tool_choice' names {name[:64]!r}, which is not among the tools.", param="tool_choice")
    return {"mode": mode} | ({"allowedFunctionNames": allowed} if allowed else {})


def _wanted(draft: Draft, choice: Any) -> tuple[str, list[str]]:
    """Return Gemini's mode and the functions to which it is limited, none for all."""
    if type(choice) is str and choice in MODES:
        return MODES[choice], []
    kind = choice.get("type") if type(choice) is dict else None
    if kind == "function":
        return "ANY", [_name(choice, "tool_choice.")]
    if kind != "allowed_tools":
        raise draft.refuse("tool_choice", "it must name 'none', 'auto', 'required', a function, or a set of functions.")
    where = "tool_choice.allowed_tools."
    allowed = checks.required(choice, "allowed_tools", dict, path="tool_choice.")
    mode = checks.one_of(allowed, "mode", ("auto", "required"), path=where) or "auto"
    tools = checks.objects(allowed, "tools", path=where)
    if not tools:
        raise checks.missing(f"{where}tools")
    listed = [_name(tool, f"{where}tools[{place}].") for place, tool in enumerate(tools)]
    return "ANY" if mode == "required" else "VALIDATED", listed


def _name(holder: Json, path: str) -> str:
    function = checks.required(holder, "function", dict, path=path)
    return names.sent(checks.required(function, "name", str, path=f"{path}function."))
