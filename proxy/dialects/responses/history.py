"""The input of a Responses request, a string or a flat list of items, as the messages of a chat.

All that an assistant says and calls in one turn becomes one message, and each call's result follows it at once: that
is how chat wants it, whatever stands between them in the list.
"""

from collections.abc import Callable
from typing import Any

import orjson

from proxy.dialects import checks
from proxy.dialects.responses.content import content_of, simplified
from proxy.dialects.responses.state import State
from proxy.dialects.responses.tools import SEARCH, Toolbox
from proxy.errors import BadRequest

Json = dict[str, Any]
ROLES = ("user", "assistant", "system", "developer")
OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output", "tool_search_output"})
# Items that say what OpenAI's own tools did, and pictures that models made: chat has no place for them in what an
# assistant said, and they are no reason to refuse the whole conversation.
LEFT_OUT = frozenset({"web_search_call", "image_generation_call"})


def messages_of(body: Json, tools: Toolbox) -> list[Json]:
    """Return the messages that `instructions` and `input` amount to. Raises BadRequest."""
    history = History(body, tools)
    instructions = checks.optional(body, "instructions", str)
    if instructions:
        history.messages.append({"role": "system", "content": instructions})
    items = body["input"]
    if type(items) is str:
        history.messages.append({"role": "user", "content": items})
    else:
        for place, item in enumerate(items):
            history.take(item, f"input[{place}].")
    history.close()
    return history.messages


class History:
    """Messages so far, and the assistant's turn that is still being put together."""

    def __init__(self, body: Json, tools: Toolbox) -> None:
        self.messages: list[Json] = []
        self._tools = tools
        self._results = _results(body["input"], tools)
        self._turn: _Turn | None = None

    def take(self, item: Json, path: str) -> None:
        """Take in the next item."""
        kind = checks.optional(item, "type", str, path=path) or "message"
        if kind in OUTPUTS:
            self._end_turn()  # with the results of all its calls, this one among them
            return
        if kind in LEFT_OUT or kind == "additional_tools":
            return
        handle = _HANDLERS.get(kind)
        if handle is None:
            raise checks.unsupported(
                f"{path}type", f"'{path}type' is {kind[:64]!r}, which only OpenAI's own models can be told."
            )
        handle(self, item, path)

    def close(self) -> None:
        """End the turn and everything; refuse results of calls that nobody made."""
        self._end_turn()
        for path, _ in (result for results in self._results.values() for result in results):
            raise BadRequest(f"'{path}call_id' belongs to no call in 'input'.", param=f"{path}call_id")

    def message(self, item: Json, path: str) -> None:
        role = checks.one_of(item, "role", ROLES, path=path)
        if role is None:
            raise checks.missing(f"{path}role")
        content = content_of(item, "content", path)
        if role != "assistant":
            self._end_turn()
            self.messages.append({"role": role, "content": content})
        elif content:
            turn = self._turn
            if turn is not None and turn.parts and not turn.calls:
                self._end_turn()
            self._open().say(content)

    def reasoning(self, item: Json, path: str) -> None:
        texts = [
            checks.required(part, "text", str, path=f"{path}{name}[{place}].")
            for name in ("summary", "content")
            for place, part in enumerate(checks.objects(item, name, path=path))
        ]
        if texts and self._turn is not None and self._turn.parts and not self._turn.calls:
            self._end_turn()  # thought anew after it had spoken
        turn = self._open()
        turn.thoughts += texts
        turn.state.unpack(checks.optional(item, "encrypted_content", str, path=path) or "")

    def function_call(self, item: Json, path: str) -> None:
        name = checks.required(item, "name", str, path=path)
        arguments = checks.required(item, "arguments", str, path=path)
        self._call(item, path, self._function(item, name, path), arguments)

    def custom_tool_call(self, item: Json, path: str) -> None:
        name = checks.required(item, "name", str, path=path)
        text = checks.required(item, "input", str, path=path)
        self._call(item, path, self._function(item, name, path), orjson.dumps({"input": text}).decode())

    def tool_search_call(self, item: Json, path: str) -> None:
        arguments = orjson.dumps(item.get("arguments") or {}).decode()
        self._call(item, path, self._tools.function(SEARCH), arguments)

    def _function(self, item: Json, name: str, path: str) -> str:
        return self._tools.function(name, checks.optional(item, "namespace", str, path=path))

    def _call(self, item: Json, path: str, name: str, arguments: str) -> None:
        call_id = checks.required(item, "call_id", str, path=path)
        results = self._results.get(call_id)
        if not results:
            raise BadRequest(f"'input' holds no output for the call in '{path}call_id'.", param=f"{path}call_id")
        _, content = results.pop(0)
        call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        self._open().calls.append((call, content))

    def _open(self) -> "_Turn":
        if self._turn is None:
            self._turn = _Turn()
        return self._turn

    def _end_turn(self) -> None:
        if self._turn is not None:
            self.messages += self._turn.messages()
            self._turn = None


class _Turn:
    """What the assistant thought, said and called before somebody else had the word."""

    def __init__(self) -> None:
        self.thoughts: list[str] = []
        self.parts: list[Json] = []
        self.calls: list[tuple[Json, Any]] = []
        self.state = State()

    def say(self, content: str | list[Json]) -> None:
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if all(part.keys() == {"type", "text"} for part in parts):
            parts = [{"type": "text", "text": "".join(part["text"] for part in parts)}]
        self.parts += parts

    def messages(self) -> list[Json]:
        """Return the assistant's message and the results of its calls; nothing for thoughts that led nowhere."""
        if not (self.parts or self.calls):
            return []
        message: Json = {"role": "assistant", "content": simplified(self.parts) or None}
        if self.thoughts:
            message["reasoning_content"] = "\n\n".join(self.thoughts)
        if self.state.blocks:
            message["thinking_blocks"] = self.state.blocks
        if self.state.extra:
            message["extra_content"] = self.state.extra
        if self.calls:
            message["tool_calls"] = [self._signed(call) for call, _ in self.calls]
        return [message] + [
            {"role": "tool", "tool_call_id": call["id"], "content": content} for call, content in self.calls
        ]

    def _signed(self, call: Json) -> Json:
        extra = self.state.extras.get(call["id"])
        return call if extra is None else call | {"extra_content": extra}


def _results(items: Any, tools: Toolbox) -> dict[str, list[tuple[str, Any]]]:
    """Return the outputs among the items by call id, each with its path and its content."""
    found: dict[str, list[tuple[str, Any]]] = {}
    for place, item in enumerate(items if isinstance(items, list) else []):
        kind, path = item.get("type"), f"input[{place}]."
        if kind in OUTPUTS:
            content = _findings(item, tools) if kind == "tool_search_output" else content_of(item, "output", path)
            found.setdefault(checks.required(item, "call_id", str, path=path), []).append((path, content))
    return found


def _findings(item: Json, tools: Toolbox) -> str:
    """Tell the model what its search has found; the tools themselves are on offer from now on."""
    names = []
    for tool in item.get("tools") or []:
        inside = tool.get("tools") if tool.get("type") == "namespace" else None
        space = None if inside is None else tool.get("name")
        found = [tool] if inside is None else inside
        names += [tools.function(each["name"], space) for each in found if isinstance(each.get("name"), str)]
    return orjson.dumps({"tools": names}).decode()


_HANDLERS: dict[str, Callable[[History, Json, str], None]] = {
    "message": History.message,
    "reasoning": History.reasoning,
    "function_call": History.function_call,
    "custom_tool_call": History.custom_tool_call,
    "tool_search_call": History.tool_search_call,
}
