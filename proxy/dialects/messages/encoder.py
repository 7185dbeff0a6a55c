"""OpenAI's chunks as Anthropic's events: blocks one after the other, each with a number, a beginning and an end."""

from typing import Any

import orjson

from accounts.prices import Usage
from proxy.dialects.base import Json, StreamEncoder
from proxy.dialects.messages.outward import NOTHING, error_object, event, made_id, message_id, stopped
from proxy.errors import GatewayError, StreamCut
from proxy.providers.anthropic import usage as usages


class MessageEncoder(StreamEncoder):
    """One stream. `model` is the name to give until a chunk says another, `spare` the id where none does."""

    def __init__(self, model: str, spare: str = "") -> None:
        self._model, self._id, self._spare = model, "", spare
        self._started = False
        self._number = -1  # of the latest block
        self._open = ""  # the kind of the block that is open: "text", "thinking", "tool_use" or none
        self._call: int | None = None  # OpenAI's index of the call whose block is open
        self._argued: list[str] = []  # its arguments so far
        self._may_be_whole = False
        self._waiting: dict[int, Json] = {}  # calls whose name has not come yet, or that one before them holds up
        self._done: set[int] = set()
        self._reason: Any = None
        self._refused: list[str] = []
        self._signed = False

    def feed(self, chunk: Json) -> bytes:
        """Return the events for a chunk. Raises StreamCut for calls whose pieces are mixed: a block opens but once."""
        out = self._start(chunk)
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict) or choice.get("index"):
            return out  # of several choices, the first is the message
        if choice.get("finish_reason") is not None:
            self._reason = choice["finish_reason"]
        delta = choice.get("delta")
        return out + self._grow(delta) if isinstance(delta, dict) else out

    def end(self, usage: Usage | None, cost: str) -> tuple[bytes, bytes]:
        before = self._start({}) + self._late_calls() + self._close()
        counts = usages.as_anthropic(usage) if usage is not None else {"output_tokens": 0}
        called = bool(self._done)
        delta = stopped(self._reason, called, "".join(self._refused))
        before += event("message_delta", {"delta": delta, "usage": counts, "cost": cost})
        return before, event("message_stop", {})

    def error(self, error: GatewayError) -> bytes:
        return event("error", {"error": error_object(error)})

    def _start(self, chunk: Json) -> bytes:
        if self._started:
            return b""
        self._started = True
        self._id = message_id(chunk.get("id") or self._spare)
        message: Json = {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": chunk.get("model") or self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": NOTHING,  # not known yet; what message_delta says replaces it
        }
        return event("message_start", {"message": message})

    def _grow(self, delta: Json) -> bytes:
        out = b""
        if isinstance(delta.get("thinking_blocks"), list):
            out += self._signed_thoughts(delta["thinking_blocks"])
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thought, str) and thought and not self._signed:
            out += self._block("thinking", {"thinking": "", "signature": ""})
            out += self._add({"type": "thinking_delta", "thinking": thought})
        for name in ("content", "refusal"):
            text = delta.get(name)
            if isinstance(text, str) and text:
                out += self._block("text", {"text": ""}) + self._add({"type": "text_delta", "text": text})
                if name == "refusal":
                    self._refused.append(text)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else []:
            out += self._call_grew(call) if isinstance(call, dict) else b""
        if isinstance(delta.get("function_call"), dict):
            out += self._call_grew({"index": 0, "function": delta["function_call"]})
        return out

    def _signed_thoughts(self, thoughts: list[Any]) -> bytes:
        """Give thinking with its signatures, where nothing was given of it yet: later there is no place for them."""
        if self._number >= 0:
            return b""
        out = b""
        for thought in thoughts:
            if not isinstance(thought, dict):
                continue
            self._signed = True
            if thought.get("type") == "thinking":
                out += self._block("thinking", {"thinking": "", "signature": ""})
                out += self._add({"type": "thinking_delta", "thinking": thought.get("thinking") or ""})
                out += self._add({"type": "signature_delta", "signature": thought.get("signature") or ""})
            else:
                out += self._block("redacted_thinking", {"data": thought.get("data") or ""})
            out += self._close()
        return out

    def _call_grew(self, call: Json) -> bytes:
        index = call["index"] if isinstance(call.get("index"), int) else 0
        function = call["function"] if isinstance(call.get("function"), dict) else {}
        arguments = function.get("arguments")
        arguments = arguments if isinstance(arguments, str) else ""
        if index == self._call:
            return self._argue(arguments) + self._next_calls()
        if index in self._done:
            if not arguments.strip():
                return b""
            raise StreamCut("The provider mixed the pieces of several calls.", code="upstream_invalid_response")
        waiting = self._waiting.setdefault(index, {"name": "", "arguments": []})
        waiting |= {name: call[name] for name in ("id", "extra_content") if call.get(name)}
        waiting["name"] = waiting["name"] or str(function.get("name") or "")
        waiting["arguments"].append(arguments)
        return self._next_calls()

    def _next_calls(self) -> bytes:
        """Open calls that wait and have a name, each when the one before is whole: some mix the pieces of several."""
        out = b""
        while self._waiting and (self._call is None or self._is_whole()):
            index = next((index for index, known in self._waiting.items() if known["name"]), None)
            if index is None:
                break
            out += self._open_call(index)
        return out

    def _is_whole(self) -> bool:
        """Say whether the arguments of the open call are whole."""
        if self._may_be_whole:
            try:
                orjson.loads("".join(self._argued))
            except orjson.JSONDecodeError:
                self._may_be_whole = False
        return self._may_be_whole

    def _open_call(self, index: int) -> bytes:
        known = self._waiting.pop(index)
        self._done.add(index)
        block: Json = {"id": known.get("id") or made_id(self._id, index), "name": known["name"], "input": {}}
        if isinstance(known.get("extra_content"), dict):
            block["extra_content"] = known["extra_content"]
        out = self._close() + self._block("tool_use", block)
        self._call, self._argued, self._may_be_whole = index, [], False
        return out + self._argue("".join(known["arguments"]))

    def _argue(self, arguments: str) -> bytes:
        """Give more of the arguments of the open call."""
        if not arguments:
            return b""
        self._argued.append(arguments)
        if end := arguments.rstrip()[-1:]:
            self._may_be_whole = end == "}"
        return self._add({"type": "input_json_delta", "partial_json": arguments})

    def _late_calls(self) -> bytes:
        """Give calls that still wait, also those that never got a name: what they hold is not kept from the caller."""
        return b"".join(self._open_call(index) for index in sorted(self._waiting))

    def _block(self, kind: str, told: Json) -> bytes:
        """Open a block of this kind, unless one is open."""
        if self._open == kind and kind != "tool_use":
            return b""
        out = self._close()
        self._open, self._number = kind, self._number + 1
        return out + event("content_block_start", {"index": self._number, "content_block": {"type": kind} | told})

    def _add(self, delta: Json) -> bytes:
        return event("content_block_delta", {"index": self._number, "delta": delta})

    def _close(self) -> bytes:
        if not self._open:
            return b""
        self._open, self._call = "", None
        return event("content_block_stop", {"index": self._number})
