"""Gemini's contents as OpenAI's messages: what was said, what was called, and what the functions answered."""

from typing import Any

import orjson

from proxy.dialects import checks
from proxy.dialects.base import Json
from proxy.dialects.gemini import parts, signed
from proxy.dialects.gemini.spelling import cannot, inner, several
from proxy.errors import BadRequest

ROLES = ("user", "model", "function")
Placed = tuple[Json, str]  # a part and its path


class Messages:
    """Gathers contents; afterwards `told` holds the messages. Calls without an id get one by their number."""

    def __init__(self) -> None:
        self._open: list[tuple[str, str]] = []  # calls of the last model turn without an answer: function, id
        self._count = 0
        self.told: list[Json] = []

    def system(self, request: Json) -> None:
        """Take the systemInstruction: one text as a string, several as parts."""
        texts = []
        for place, item in enumerate(several(inner(request, "systemInstruction"), "parts", path="systemInstruction.")):
            path = f"systemInstruction.parts[{place}]."
            if item.get("text") is None:
                raise cannot(path[:-1], "only text can stand here.")
            texts.append(parts.part(item, path))
        if texts:
            self.told.append({"role": "system", "content": _simple(texts)})

    def gather(self, request: Json) -> None:
        """Take all contents. Raises BadRequest naming the one that cannot be said."""
        said: list[Placed] = []  # by the model: clients that stream keep each chunk as a content of its own
        for place, content in enumerate(several(request, "contents")):
            path = f"contents[{place}]."
            role = checks.one_of(content, "role", ROLES, path=path)
            items = several(content, "parts", path=path)
            if not items:
                raise checks.missing(f"{path}parts")
            if role == "model":
                said += [(item, f"{path}parts[{number}].") for number, item in enumerate(items)]
                continue
            self._model(said)
            said = []
            self._user(items, path)
        self._model(said)

    def _user(self, items: list[Json], path: str) -> None:
        """Take what functions answered, then what the user said; pictures that functions gave go with that."""
        seen: list[Json] = []
        said: list[Json] = []
        for place, item in enumerate(items):
            here = f"{path}parts[{place}]."
            if item.get("functionResponse") is not None:
                answer = inner(item, "functionResponse", path=here)
                seen += self._answer(answer, f"{here}functionResponse.")
            else:
                said.append(parts.part(item, here))
        if seen or said:
            self.told.append({"role": "user", "content": _simple(seen + said)})

    def _answer(self, answer: Json, path: str) -> list[Json]:
        name = checks.required(answer, "name", str, path=path)
        call = self._answered(name, checks.optional(answer, "id", str, path=path))
        if call is None:
            raise BadRequest(f"'{path}name' answers no call of the content before.", param=f"{path}name")
        more = [
            parts.part(item, f"{path}parts[{place}].") for place, item in enumerate(several(answer, "parts", path=path))
        ]
        text = _text(checks.optional(answer, "response", dict, path=path) or {})
        self.told.append({"role": "tool", "tool_call_id": call, "content": text})
        return more

    def _answered(self, name: str, call_id: str | None) -> str | None:
        """Return the id of the open call that is answered: by its id, else the first of that name."""
        found = [each for each in self._open if each[1] == call_id] or [each for each in self._open if each[0] == name]
        if not found:
            return None
        self._open.remove(found[0])
        return found[0][1]

    def _model(self, items: list[Placed]) -> None:
        """Take one turn of the model, which is one message however many contents it stands in."""
        if not items:
            return
        texts: list[str] = []
        thoughts: list[str] = []
        calls: list[Json] = []
        kept = [each for item, _ in items for each in signed.thoughts_of(item.get("thoughtSignature"))]
        self._open = []
        for item, path in items:
            if item.get("functionCall") is not None:
                calls.append(self._call(inner(item, "functionCall", path=path), f"{path}functionCall."))
            elif item.get("text") is not None:
                text = checks.required(item, "text", str, path=path)
                (thoughts if item.get("thought") else texts).append(text)
            elif set(item) - {"thought", "thoughtSignature"}:
                raise cannot(path[:-1], "this part of an earlier answer cannot be sent to this model.")
        message: Json = {"role": "assistant", "content": "".join(texts) or (None if calls else "")}
        if thought := "".join(thoughts):
            message["reasoning_content"] = thought
        if kept:
            message["thinking_blocks"] = kept
        self.told.append(message | {"tool_calls": calls} if calls else message)

    def _call(self, call: Json, path: str) -> Json:
        name = checks.required(call, "name", str, path=path)
        arguments = checks.optional(call, "args", dict, path=path) or {}
        self._count += 1
        call_id = checks.optional(call, "id", str, path=path) or f"call_{self._count}"
        self._open.append((name, call_id))
        function = {"name": name, "arguments": orjson.dumps(arguments).decode()}
        return {"id": call_id, "type": "function", "function": function}


def _simple(said: list[Json]) -> Any:
    """A single text goes as a string, which everybody understands."""
    return said[0]["text"] if len(said) == 1 and said[0]["type"] == "text" else said


def _text(response: Json) -> str:
    """Return a function's answer as text: what Gemini's clients wrap a plain text in is taken off again."""
    if len(response) == 1:
        [(name, value)] = response.items()
        if name in ("result", "output") and type(value) is str:
            return value
    return orjson.dumps(response).decode()
