"""A chat's tools and its choice among them as Gemini's tools and toolConfig."""

from typing import Any

from proxy.body import Json
from proxy.dialects import checks
from proxy.errors import BadRequest
from proxy.providers.draft import FUNCTION, MARKS, TOOL
from proxy.providers.gemini import names, schema
from proxy.providers.gemini.draft import Draft
from proxy.providers.legacy import choice_of

MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def put(draft: Draft, body: Json, out: Json) -> None:
    """Put `tools` and `toolConfig` into `out`. Raises BadRequest naming what cannot be said."""
    declared = _declarations(draft, body)
    asked, param = choice_of(body)
    choice = _choice(draft, asked, param, [each["name"] for each in declared])
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
    found = {}
    for place, tool in enumerate(checks.objects(body, "tools")):
        found[f"tools[{place}].function."] = _of_tool(draft, tool, f"tools[{place}]")
    for place, function in enumerate(checks.objects(body, "functions")):
        found[f"functions[{place}]."] = _declaration(draft, function, f"functions[{place}].")
    seen: set[str] = set()
    for path, each in found.items():
        if each["name"] in seen:
            param = f"{path}name"
            raise BadRequest(f"'{param}' is the name of two functions, or too much like another's.", param=param)
        seen.add(each["name"])
    return list(found.values())


def _of_tool(draft: Draft, tool: Json, path: str) -> Json:
    if tool.get("type") != "function":
        raise draft.refuse(f"{path}.type", "only tools of the type 'function' can be sent.")
    draft.note_unknown(tool, TOOL, "tools")
    for mark in MARKS:
        if tool.get(mark):
            draft.ignore(mark)
    return _declaration(draft, checks.required(tool, "function", dict, path=f"{path}."), f"{path}.function.")


def _declaration(draft: Draft, function: Json, where: str) -> Json:
    draft.note_unknown(function, FUNCTION, "tools.function")
    for mark in MARKS:
        if function.get(mark):
            draft.ignore(mark)
    declared: Json = {"name": names.sent(checks.required(function, "name", str, path=where))}
    if description := checks.optional(function, "description", str, path=where):
        declared["description"] = description
    parameters = checks.optional(function, "parameters", dict, path=where)
    if parameters is not None and not schema.takes_nothing(parameters):
        declared["parametersJsonSchema"] = schema.tidy(parameters)
    if function.get("strict"):
        draft.ignore("tools.function.strict")
    return declared


def _choice(draft: Draft, choice: Any, param: str, offered: list[str]) -> Json | None:
    """Return the functionCallingConfig, None where nothing was chosen."""
    if choice is None:
        return None
    mode, allowed = _wanted(draft, choice, param)
    if mode == "ANY" and not offered:
        raise BadRequest(f"'{param}' asks for a tool, but there are no 'tools'.", param=param)
    for name in allowed:
        if name not in offered:
            raise BadRequest(f"'{param}' names {name[:64]!r}, which is not among the tools.", param=param)
    return {"mode": mode} | ({"allowedFunctionNames": allowed} if allowed else {})


def _wanted(draft: Draft, choice: Any, param: str) -> tuple[str, list[str]]:
    """Return Gemini's mode and the functions to which it is limited, none for all."""
    if type(choice) is str and choice in MODES:
        return MODES[choice], []
    kind = choice.get("type") if type(choice) is dict else None
    if kind == "function":
        return "ANY", [_name(choice, f"{param}.")]
    if kind != "allowed_tools":
        raise draft.refuse(param, "it must name 'none', 'auto', 'required', a function, or a set of functions.")
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
