"""The tools of a Responses request as functions of the inner dialect, and the way back from a call to its tool.

Functions are flat here and nested there. Whatever a model calls on the caller's side becomes a function too: custom
tools (free text, in one argument `input`), functions in namespaces, the caller's own tool search. Codex has them all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import orjson

from proxy.dialects import checks
from proxy.errors import BadRequest

Json = dict[str, Any]
NAME_LIMIT = 64  # characters of a function's name at OpenAI
PLAIN_NAMESPACE = "functions"  # where Codex puts tools that stand in no namespace of their own
HINTS = ("defer_loading", "output_schema")  # of a function: how it is offered, not what it does
SEARCH = "tool_search"


@dataclass(frozen=True, slots=True)
class Tool:
    """What the caller knows a function as. `kind` is "function", "custom" or "tool_search"."""

    kind: str
    name: str
    namespace: str | None = None


class Toolbox:
    """All tools that a request offers. What cannot be offered is kept as a refusal, since it is no matter natively."""

    def __init__(self, body: Json) -> None:
        self.functions: list[Json] = []
        self.ignored: list[str] = []
        self.refusal: BadRequest | None = None
        self._tools: dict[str, Tool] = {}
        self._names: dict[tuple[str | None, str], str] = {}
        for path, tool in _offered(body):
            try:
                self._offer(path, tool)
            except BadRequest as refusal:
                self.refusal = self.refusal or refusal

    def called(self, name: str) -> Tool:
        """Return the tool that the function of that name stands for."""
        return self._tools.get(name) or Tool("function", name)

    def function(self, name: str, namespace: str | None = None) -> str:
        """Return the name of the function that stands for a tool, also for one that is no longer offered."""
        return self._names.get((namespace, name)) or _joined(name, namespace)

    def choice(self, body: Json) -> Any:
        """Return `tool_choice` in the inner dialect, None to leave it out. Raises BadRequest."""
        choice = body.get("tool_choice")
        if choice is None or type(choice) is str:
            chosen = checks.one_of(body, "tool_choice", ("none", "auto", "required"))
            if chosen == "required" and not self.functions:
                raise BadRequest("'tool_choice' is 'required', but there are no tools.", param="tool_choice")
            return chosen if self.functions else None
        if type(choice) is not dict:
            raise checks.wrong_type("tool_choice", "a string or an object")
        if choice.get("type") != "allowed_tools":
            return self._named(choice, "tool_choice")
        mode = checks.one_of(choice, "mode", ("auto", "required"), path="tool_choice.") or "auto"
        allowed = checks.objects(choice, "tools", path="tool_choice.")
        named = [self._named(each, f"tool_choice.tools[{place}]") for place, each in enumerate(allowed)]
        return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": named}}

    def _named(self, choice: Json, path: str) -> Json:
        kind = choice.get("type")
        if kind not in ("function", "custom"):  # a tuple, since it may be anything, also what has no hash
            raise checks.unsupported(f"{path}.type", f"'{path}' names a built-in tool, which {_ELSEWHERE}")
        name = checks.required(choice, "name", str, path=f"{path}.")
        space = checks.optional(choice, "namespace", str, path=f"{path}.")
        known = self._names.get((space, name)) or self._names.get((space or PLAIN_NAMESPACE, name))
        if known is None:
            raise BadRequest(f"'{path}' names {name[:64]!r}, which is not among the tools.", param=path)
        return {"type": "function", "function": {"name": known}}

    def _offer(self, path: str, tool: Json) -> None:
        kind = checks.required(tool, "type", str, path=f"{path}.")
        if kind == "namespace":
            self._offer_namespace(path, tool)
        elif kind == SEARCH and tool.get("execution") == "client":
            self._add(path, tool | {"name": SEARCH}, Tool(SEARCH, SEARCH))
        elif kind in {"function", "custom"}:
            self._add(path, tool, Tool(kind, checks.required(tool, "name", str, path=f"{path}.")))
        elif kind == "web_search" and type(tool.get("external_web_access")) is bool:
            # Codex offers this to every model and says each time whether its sandbox lets it out: help, not a task.
            # Who wants a search does not say so, and gets the refusal.
            self.ignored.append(path)
        else:
            raise checks.unsupported(f"{path}.type", f"'{path}' is the built-in tool {kind[:64]!r}, which {_ELSEWHERE}")

    def _offer_namespace(self, path: str, space: Json) -> None:
        name = checks.required(space, "name", str, path=f"{path}.")
        about = checks.optional(space, "description", str, path=f"{path}.")
        for place, tool in enumerate(checks.objects(space, "tools", path=f"{path}.")):
            inside = f"{path}.tools[{place}]"
            kind = checks.one_of(tool, "type", ("function", "custom"), path=f"{inside}.") or "function"
            if about and place == 0:  # said once, at the first of its tools
                tool = tool | {"description": f"({name}: {about})\n{tool.get('description') or ''}".rstrip()}
            self._add(inside, tool, Tool(kind, checks.required(tool, "name", str, path=f"{inside}."), name))

    def _add(self, path: str, definition: Json, tool: Tool) -> None:
        name = _joined(tool.name, tool.namespace)
        if name in self._tools and self._tools[name] != tool:
            name = _shortened(f"{tool.kind}__{name}")
        self.ignored += [f"{path}.{hint}" for hint in HINTS if definition.get(hint)]
        function = _free_text(definition, path) if tool.kind == "custom" else _function(definition, path)
        if tool.kind == "custom" and (definition.get("format") or {}).get("type") == "grammar":
            self.ignored.append(f"{path}.format")  # described to the model, but nobody enforces it
        if name not in self._tools:  # a search may find what is offered already
            self.functions.append({"type": "function", "function": {"name": name} | function})
        self._tools[name] = tool
        self._names[tool.namespace, tool.name] = name


_ELSEWHERE = "only OpenAI runs. This model is served elsewhere and can call the caller's own functions only."


def input_of(arguments: str) -> str:
    """Return the free text in a custom tool's arguments; what is not as asked for is handed on as it is."""
    try:
        parsed = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments
    text = parsed.get("input") if isinstance(parsed, dict) else None
    return text if isinstance(text, str) else arguments


def _offered(body: Json) -> Iterator[tuple[str, Json]]:
    """Yield each tool with its path: the request's own, and those that items of the input bring along."""
    for place, tool in enumerate(body.get("tools") or []):
        yield f"tools[{place}]", tool
    items = body.get("input")
    for at, item in enumerate(items if isinstance(items, list) else []):
        if item.get("type") in {"additional_tools", "tool_search_output"}:
            for place, tool in enumerate(checks.objects(item, "tools", path=f"input[{at}].")):
                yield f"input[{at}].tools[{place}]", tool


def _function(definition: Json, path: str) -> Json:
    function: Json = {}
    for name, kind in (("description", str), ("parameters", dict), ("strict", bool)):
        value = checks.optional(definition, name, kind, path=f"{path}.")
        if value is not None:
            function[name] = value
    return function


def _free_text(definition: Json, path: str) -> Json:
    """Return a function for a tool that takes free text."""
    form = checks.optional(definition, "format", dict, path=f"{path}.") or {}
    kind = checks.one_of(form, "type", ("text", "grammar"), path=f"{path}.format.")
    about = "The tool's whole input as plain text, not wrapped in anything."
    if kind == "grammar":
        rules = checks.required(form, "definition", str, path=f"{path}.format.")
        about += f" It must match this {form.get('syntax') or 'lark'} grammar:\n{rules}"
    described = checks.optional(definition, "description", str, path=f"{path}.")
    return ({"description": described} if described else {}) | {
        "parameters": {
            "type": "object",
            "properties": {"input": {"type": "string", "description": about}},
            "required": ["input"],
            "additionalProperties": False,
        },
    }


def _joined(name: str, namespace: str | None) -> str:
    return name if namespace in {None, PLAIN_NAMESPACE} else _shortened(f"{namespace}__{name}")


def _shortened(name: str) -> str:
    """Return a name within OpenAI's limit, still one of its kind."""
    return name if len(name) <= NAME_LIMIT else f"{name[: NAME_LIMIT - 9]}_{crc32(name.encode()):08x}"
