"""A chat's messages as Gemini's contents: turns of user and model, tool results found again by their call's name."""

from typing import Any

import orjson

from proxy.body import DEPTH_LIMIT, Json
from proxy.dialects import checks
from proxy.errors import BadRequest
from proxy.providers.arguments import input_of
from proxy.providers.draft import MARKS, PART
from proxy.providers.gemini import media, names
from proxy.providers.gemini.draft import Draft

# base64 of "skip_thought_signature_validator": for calls whose signature is lost, or that another model made.
# Source: Gemini API documents, thought signatures.
NO_SIGNATURE = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
# Members of an assistant's message that have no counterpart.
NOT_TAKEN = {
    "audio": "an earlier answer in sound cannot be named by its id.",
}
THOUGHTS = ("reasoning_content", "reasoning", "thinking_blocks")
KNOWN = frozenset(
    (
        *("role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio", "annotations"),
        *("extra_content", "images", *MARKS, *THOUGHTS),
    )
)
CALL, CALLED = frozenset({"id", "type", "function", "index", "extra_content"}), frozenset({"name", "arguments"})
RESULT = "result"  # what a tool's answer is called where it is not an object of its own


class Contents:
    """Gathers messages. Afterwards `system` holds the parts of all system messages and `turns` the contents."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        # By id, and by name those of before there were ids: which call of the chat it was, and its function.
        self._calls: dict[str, tuple[int, str]] = {}
        self._unnamed: dict[str, tuple[int, str]] = {}
        self._results: list[tuple[int, Json]] = []
        self._count = 0
        self.system: list[Json] = []
        self.turns: list[Json] = []

    def gather(self, messages: list[Json]) -> None:
        """Take all messages of a chat. Raises BadRequest naming the one that cannot be said."""
        for place, message in enumerate(messages):
            path, role = f"messages[{place}]", message["role"]
            self._note(message)
            if message.get("name") and role not in {"tool", "function"}:
                self._draft.ignore("messages.name")
            if role in {"system", "developer"}:
                self.system += self._parts(message, path)
            elif role == "user":
                self._add("user", self._parts(message, path) or [{"text": ""}])
            elif role == "assistant":
                self._assistant(message, path)
            else:
                self._result(message, path)
        self._put_results()
        if not self.turns:
            self.turns, self.system = [{"role": "user", "parts": self.system or [{"text": ""}]}], []
        self._refuse_prefill()
        self._sign()

    def _note(self, message: Json) -> None:
        """Note what is left out of a message: what nobody knows, marks for a cache, what another model thought."""
        self._draft.note_unknown(message, KNOWN, "messages")
        for name in (*MARKS, *THOUGHTS):
            if message.get(name):
                self._draft.ignore(name if name in MARKS else f"messages.{name}")

    def _add(self, role: str, parts: list[Json], *, first: bool = False) -> None:
        """Put parts into the last turn if it is of that role, else into a new one."""
        if not self.turns or self.turns[-1]["role"] != role:
            self.turns.append({"role": role, "parts": []})
        there = self.turns[-1]["parts"]
        there[:] = parts + there if first else there + parts

    def _parts(self, message: Json, path: str) -> list[Json]:
        """Return the parts of a message's content, empty texts left out."""
        content = message.get("content")
        if type(content) is not list:
            return [{"text": content}] if content else []
        parts = []
        for place, item in enumerate(content):
            where = f"{path}.content[{place}]"
            if type(item) is not dict:
                raise checks.wrong_type(where, "an object")
            if (part := self._part(item, where)) is not None:
                parts.append(part)
        return parts

    def _part(self, item: Json, path: str) -> Json | None:
        self._draft.note_unknown(item, PART, "messages.content")
        for mark in MARKS:
            if item.get(mark):
                self._draft.ignore(mark)
        if item.get("type") in ("text", "refusal"):
            text = checks.required(item, item["type"], str, path=f"{path}.")
            return {"text": text} if text else None
        return media.part(self._draft, item, path)

    def _assistant(self, message: Json, path: str) -> None:
        self._put_results()
        for name, why in NOT_TAKEN.items():
            if message.get(name):
                raise self._draft.refuse(f"{path}.{name}", why)
        parts = self._parts(message, path)
        if not parts and (refusal := checks.optional(message, "refusal", str, path=f"{path}.")):
            parts = [{"text": refusal}]
        if (call := checks.optional(message, "function_call", dict, path=f"{path}.")) is not None:
            parts.append({"functionCall": self._called(call, f"{path}.function_call")})
        if parts and (signature := _signature(message)):
            parts[-1]["thoughtSignature"] = signature
        calls = checks.objects(message, "tool_calls", path=f"{path}.")
        parts += [self._call(call, f"{path}.tool_calls[{place}]") for place, call in enumerate(calls)]
        self._add("model", parts or [{"text": ""}])

    def _call(self, call: Json, path: str) -> Json:
        if call.get("type", "function") != "function":
            raise self._draft.refuse(f"{path}.type", "only calls of functions can be sent.")
        function = checks.required(call, "function", dict, path=f"{path}.")
        self._draft.note_unknown(call, CALL, "messages.tool_calls")
        told = self._called(function, f"{path}.function")
        if call_id := checks.optional(call, "id", str, path=f"{path}."):
            self._calls[call_id] = (self._count, told["name"])
            told["id"] = call_id
        signature = _signature(call)
        return {"functionCall": told} | ({"thoughtSignature": signature} if signature else {})

    def _called(self, function: Json, path: str) -> Json:
        """Return a call, without an id; of those that never get one the latest by its name is the one answered."""
        self._draft.note_unknown(function, CALLED, "messages.tool_calls.function")
        own = checks.required(function, "name", str, path=f"{path}.")
        arguments = checks.optional(function, "arguments", str, path=f"{path}.")
        told: Json = {"name": names.sent(own), "args": input_of(arguments or "")}
        self._count += 1
        self._unnamed[own] = (self._count, told["name"])
        return told

    def _result(self, message: Json, path: str) -> None:
        by_name = message["role"] == "function"
        param, calls = ("name", self._unnamed) if by_name else ("tool_call_id", self._calls)
        called = checks.required(message, param, str, path=f"{path}.")
        if called not in calls:
            raise BadRequest(f"'{path}.{param}' names no call of an earlier message.", param=f"{path}.{param}")
        position, name = calls[called]
        parts = self._parts(message, path)
        texts = [part["text"] for part in parts if "text" in part]
        told: Json = {"name": name, "response": _response(texts)} | ({} if by_name else {"id": called})
        if extra := [part for part in parts if "text" not in part]:
            if not self._draft.can.media_in_results:
                raise self._draft.refuse(f"{path}.content", "the answer of a tool can only be text for this model.")
            told["parts"] = extra
        self._results.append((position, {"functionResponse": told}))

    def _put_results(self) -> None:
        """Put the results gathered since the last turn of the model in front of what the user said, in call order."""
        if self._results:
            ordered = sorted(self._results, key=lambda result: result[0])
            self._add("user", [part for _, part in ordered], first=True)
            self._results = []

    def _refuse_prefill(self) -> None:
        last = self.turns[-1]
        if last["role"] == "model" and not self._draft.can.prefill and "functionCall" not in last["parts"][-1]:
            raise self._draft.refuse("messages", "the last message must not be the assistant's for this model.")

    def _sign(self) -> None:
        """Put the documented stand-in where the model wants a signature and the caller has none to give back."""
        if not self._draft.can.thought_signature_required:
            return
        for turn in self.turns:
            call = next((part for part in turn["parts"] if "functionCall" in part), None)
            if call is not None:
                call.setdefault("thoughtSignature", NO_SIGNATURE)


def _signature(holder: Json) -> str | None:
    """Return Google's signature on a message or a tool call, in the place where Google's own OpenAI layer has it."""
    value: Any = holder
    for name in ("extra_content", "google", "thought_signature"):
        value = value.get(name) if type(value) is dict else None
    return value if type(value) is str and value else None


def _response(texts: list[str]) -> Json:
    """Return a tool's answer as the object that Gemini wants: an object stays as it is, anything else is put in one."""
    text = "".join(texts)
    value = _loaded(text) if text.lstrip()[:1] in ("{", "[") else None
    if value is None:
        return {RESULT: text}
    return value if type(value) is dict else {RESULT: value}


def _loaded(text: str) -> Any:
    """Return the JSON in `text`; None if it is none, or nested so deep that it could not be written again."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if text.count("[") + text.count("{") <= DEPTH_LIMIT or _is_shallow(value, DEPTH_LIMIT) else None


def _is_shallow(value: Any, levels: int) -> bool:
    inner = value.values() if type(value) is dict else value if type(value) is list else ()
    return levels > 0 and all(_is_shallow(each, levels - 1) for each in inner)
