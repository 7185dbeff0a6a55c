"""Messages: OpenAI's list as Anthropic's system blocks and turns, in which user and assistant alternate."""

import hashlib
import re
from typing import Any

from proxy.body import Json
from proxy.providers.anthropic import parts, shape
from proxy.providers.anthropic.draft import Draft
from proxy.providers.arguments import input_of
from proxy.providers.draft import CALL, CALLED
from proxy.providers.names import wire_name

# The API wants a user to speak first, and never takes an empty turn. OpenAI takes both.
SILENCE = "."
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_NOT_ID = re.compile(r"[^a-zA-Z0-9_-]")
_SYSTEM = frozenset({"system", "developer"})
_KNOWN = frozenset(
    (
        *("role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio", "annotations"),
        *("thinking_blocks", "reasoning_content", "reasoning", "extra_content", "cache_control"),
        "prompt_cache_breakpoint",
    )
)


def translate(messages: list[Json], draft: Draft) -> tuple[list[Json], list[Json]]:
    """Return the system blocks and the turns. Raises BadRequest naming the message that cannot be said."""
    leading = 0
    while leading < len(messages) and messages[leading]["role"] in _SYSTEM:
        leading += 1
    system: list[Json] = []
    for place, message in enumerate(messages[:leading]):
        system += _said(message, f"messages[{place}]", draft)
    walk = _Walk(draft, last=len(messages) - 1)
    for place, message in enumerate(messages[leading:], leading):
        walk.add(message, place)
    return system, _settled(walk.turns, draft)


def _said(message: Json, param: str, draft: Draft) -> list[Json]:
    """Return the blocks of a system message."""
    _note_unknown(message, draft)
    return _closed(parts.texts(message.get("content"), f"{param}.content", draft), message, param)


class _Walk:
    """Takes messages one after the other. Equal roles in a row become one turn."""

    def __init__(self, draft: Draft, last: int) -> None:
        self._draft, self._last = draft, last
        self._called: dict[str, str] = {}  # legacy functions: the id made up for the latest call, by name
        self.turns: list[Json] = []

    def add(self, message: Json, place: int) -> None:
        role, param = message["role"], f"messages[{place}]"
        if role in _SYSTEM:
            self._put("system", _said(message, param, self._draft))
        elif role == "user":
            self._put("user", self._asked(message, param, is_last=place == self._last))
        elif role == "assistant":
            self._put("assistant", self._answered(message, param, place))
        else:
            self._put("user", [self._result(message, param, place)])

    def _put(self, role: str, blocks: list[Json]) -> None:
        put(self.turns, role, blocks)

    def _asked(self, message: Json, param: str, *, is_last: bool) -> list[Json]:
        _note_unknown(message, self._draft)
        blocks = parts.anything(message.get("content"), f"{param}.content", self._draft)
        if not blocks and is_last:
            blocks = [parts.text_block(SILENCE)]
        return _closed(blocks, message, param)

    def _answered(self, message: Json, param: str, place: int) -> list[Json]:
        draft = self._draft
        _note_unknown(message, draft)
        if message.get("audio") is not None:
            raise draft.refuse(f"{param}.audio", "spoken answers cannot be sent.")
        blocks = _thoughts(message, param, draft)
        blocks += parts.texts(message.get("content"), f"{param}.content", draft)
        blocks += parts.texts(message.get("refusal"), f"{param}.refusal", draft)
        for number, call in enumerate(_listed(message, "tool_calls", param)):
            blocks.append(_call(call, f"{param}.tool_calls[{number}]", draft))
        if message.get("function_call") is not None:
            blocks.append(self._legacy_call(message["function_call"], f"{param}.function_call", place))
        return _closed(blocks, message, param)

    def _legacy_call(self, value: Any, param: str, place: int) -> Json:
        function = shape.an_object(value, param)
        name = shape.text(function.get("name"), f"{param}.name")
        made = self._called[name] = f"call_{place}"
        return _use(made, name, function.get("arguments"), param)

    def _result(self, message: Json, param: str, place: int) -> Json:
        _note_unknown(message, self._draft)
        if message["role"] == "function":
            name = shape.text(message.get("name"), f"{param}.name")
            called = self._called.get(name, f"call_{place}")
        else:
            called = wire_id(shape.text(message.get("tool_call_id"), f"{param}.tool_call_id"))
        block: Json = {"type": "tool_result", "tool_use_id": called}
        content = parts.anything(message.get("content"), f"{param}.content", self._draft)
        mark = next((each.pop("cache_control") for each in reversed(content) if "cache_control" in each), None)
        if content:
            alone = len(content) == 1 and content[0]["type"] == "text"
            block["content"] = content[0]["text"] if alone else content
        if mark is not None:  # a mark belongs on the whole result
            block["cache_control"] = mark
        return parts.marked(block, message, param)


def put(turns: list[Json], role: str, blocks: list[Json]) -> None:
    """Add blocks to `turns`: to the last one if it is of the same role."""
    if not blocks:
        return
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    else:
        turns.append({"role": role, "content": list(blocks)})


def _settled(turns: list[Json], draft: Draft) -> list[Json]:
    """Return turns as the model takes them: system turns where they may stand, results first, a user first."""
    settled: list[Json] = []
    for place, turn in enumerate(turns):
        role, blocks = turn["role"], turn["content"]
        if role == "system" and not (draft.can.system_turns and _may_stand(turns, place)):
            role, blocks = "user", [_as_users(block) for block in blocks]
        put(settled, role, blocks)
    for turn in settled:
        if turn["role"] == "user":  # results have to come before any text
            turn["content"].sort(key=lambda block: block["type"] != "tool_result")
    if not settled or settled[0]["role"] != "user":
        settled.insert(0, {"role": "user", "content": [parts.text_block(SILENCE)]})
    _check_end(settled[-1], draft)
    return settled


def _may_stand(turns: list[Json], place: int) -> bool:
    """Say whether a system turn is legal here: after a user's turn, and last or before the assistant's."""
    after_user = place > 0 and turns[place - 1]["role"] == "user"
    return after_user and (place + 1 == len(turns) or turns[place + 1]["role"] == "assistant")


def _as_users(block: Json) -> Json:
    return block | {"text": f"<system>\n{block['text']}\n</system>"}


def _check_end(turn: Json, draft: Draft) -> None:
    if turn["role"] != "assistant":
        return
    if not draft.can.prefill:
        raise draft.refuse("messages", "the conversation must not end with the assistant's words.")
    if turn["content"][-1]["type"] == "text":  # blanks at the very end are refused
        turn["content"][-1]["text"] = turn["content"][-1]["text"].rstrip()


def _thoughts(message: Json, param: str, draft: Draft) -> list[Json]:
    """Return the signed thinking that came with an earlier answer; unsigned reasoning is never sent as text."""
    blocks = []
    for place, each in enumerate(_listed(message, "thinking_blocks", param)):
        name = f"{param}.thinking_blocks[{place}]"
        block = shape.an_object(each, name)
        if block.get("type") == "redacted_thinking":
            blocks.append({"type": "redacted_thinking", "data": shape.text(block.get("data"), f"{name}.data")})
        elif block.get("signature"):
            kept = {key: shape.text(block.get(key), f"{name}.{key}") for key in ("thinking", "signature")}
            blocks.append({"type": "thinking"} | kept)
    if not blocks and (message.get("reasoning_content") or message.get("reasoning")):
        draft.ignore("messages.reasoning_content")
    return blocks


def _listed(message: Json, key: str, param: str) -> list[Any]:
    return shape.array(message.get(key) or [], f"{param}.{key}")


def _call(value: Any, param: str, draft: Draft) -> Json:
    call = shape.an_object(value, param)
    if call.get("type", "function") != "function":
        raise draft.refuse(f"{param}.type", "only calls of functions can be sent.")
    function = shape.an_object(call.get("function"), f"{param}.function")
    draft.note_unknown(call, CALL, "messages.tool_calls")
    draft.note_unknown(function, CALLED, "messages.tool_calls.function")
    name = shape.text(function.get("name"), f"{param}.function.name")
    called = wire_id(shape.text(call.get("id"), f"{param}.id"))
    block = _use(called, name, function.get("arguments"), f"{param}.function")
    return parts.marked(block, call, param)


def _use(called: str, name: str, arguments: Any, param: str) -> Json:
    text = shape.text("" if arguments is None else arguments, f"{param}.arguments")
    return {"type": "tool_use", "id": called, "name": wire_name(name), "input": input_of(text)}


def wire_id(asked: str) -> str:
    """Return a call's id in the letters that Anthropic takes, the same for the call and its result."""
    if _ID.fullmatch(asked):
        return asked
    return f"{_NOT_ID.sub('_', asked)[:40]}_{hashlib.sha256(asked.encode()).hexdigest()[:8]}"


def _closed(blocks: list[Json], message: Json, param: str) -> list[Json]:
    """Return `blocks` with a mark that stands on the message itself put on the last of them."""
    if blocks and blocks[-1]["type"] not in {"thinking", "redacted_thinking"}:
        parts.marked(blocks[-1], message, param)
    return blocks


def _note_unknown(message: Json, draft: Draft) -> None:
    draft.note_unknown(message, _KNOWN, "messages")
    if message.get("name") is not None and message["role"] not in {"tool", "function"}:
        draft.ignore("messages.name")
