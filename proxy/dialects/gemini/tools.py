"""Gemini's tools and toolConfig as OpenAI's tools and the choice among them."""

from typing import Any

from proxy.dialects import checks
from proxy.dialects.base import Json
from proxy.dialects.gemini.schema import as_json_schema
from proxy.dialects.gemini.spelling import cannot, inner, several
from proxy.errors import BadRequest

MODES = {"MODE_UNSPECIFIED": "auto", "AUTO": "auto", "VALIDATED": "auto", "ANY": "required", "NONE": "none"}
MODE = "toolConfig.functionCallingConfig.mode"
SEARCHES = ("googleSearch", "googleSearchRetrieval")
NOTHING: Json = {"type": "object", "properties": {}}


def tools(request: Json) -> Json:
    """Return `tools`, `tool_choice` and `web_search_options`. Raises BadRequest for tools that only Google has."""
    functions: list[Json] = []
    searches = False
    for place, tool in enumerate(several(request, "tools")):
        path = f"tools[{place}]."
        declared = several(tool, "functionDeclarations", path=path)
        functions += [_function(each, f"{path}functionDeclarations[{n}].") for n, each in enumerate(declared)]
        for name, value in tool.items():
            if name in SEARCHES and value is not None:
                searches = True
            elif name != "functionDeclarations" and value is not None:
                raise cannot(f"{path}{name}", "only Google's own models have this tool.")
    told: Json = {"web_search_options": {}} if searches else {}
    choice = _choice(inner(inner(request, "toolConfig"), "functionCallingConfig", path="toolConfig."))
    if not functions:
        if choice in (None, "auto", "none"):
            return told
        raise BadRequest(f"'{MODE}' asks for a function, but 'tools' declares none.", param=MODE)
    return told | {"tools": functions} | ({} if choice is None else {"tool_choice": choice})


def _function(declared: Json, path: str) -> Json:
    function: Json = {"name": checks.required(declared, "name", str, path=path)}
    if (description := checks.optional(declared, "description", str, path=path)) is not None:
        function["description"] = description
    given = checks.optional(declared, "parametersJsonSchema", dict, path=path)
    if given is None:
        given = as_json_schema(checks.optional(declared, "parameters", dict, path=path))
    return {"type": "function", "function": function | {"parameters": NOTHING if given is None else given}}


def _choice(config: Json) -> Any:
    path = "toolConfig.functionCallingConfig."
    mode = checks.one_of(config, "mode", MODES, path=path)
    allowed = checks.optional(config, "allowedFunctionNames", list, path=path) or []
    for place, each in enumerate(allowed):
        if type(each) is not str:
            raise checks.wrong_type(f"{path}allowedFunctionNames[{place}]", "a string")
    if mode is None or not allowed or mode == "NONE":
        return None if mode is None else MODES[mode]
    named = [{"type": "function", "function": {"name": each}} for each in allowed]
    if mode == "ANY" and len(named) == 1:
        return named[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": MODES[mode], "tools": named}}
