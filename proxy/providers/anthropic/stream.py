"""Anthropic's stream as OpenAI's chunks. One event in, the chunks it amounts to out."""

from collections.abc import Callable
from typing import Any

import orjson

from accounts.prices import Usage
from proxy.body import Json
from proxy.errors import StreamCut, UpstreamError
from proxy.providers.anthropic import reply
from proxy.providers.anthropic.errors import in_stream
from proxy.providers.anthropic.finish import openai_reason
from proxy.providers.anthropic.usage import Tally
from proxy.providers.legacy import is_legacy
from proxy.providers.names import callers_names


class Translator:
    """One stream. Blocks that are neither text, thought nor call are left out whole.

    `usage` is None until the answer is finished: what is said at its start leaves out the output. `so_far` is that
    early count, for streams that are cut.
    """

    def __init__(self, asked: Json, *, id: str, created: int) -> None:
        self._names = callers_names(asked)
        self._legacy = is_legacy(asked)
        self._shape: Json = {"id": id, "object": "chat.completion.chunk", "created": created}
        self._shape["model"] = asked.get("model")
        self._tally = Tally()
        self._begun = self._finished = self.ended = False
        self._blocks: dict[int, _Block] = {}
        self._thoughts: list[Json] = []
        self._calls = self.unread = 0

    @property
    def usage(self) -> Usage | None:
        return self._tally.usage if self._finished else None

    @property
    def so_far(self) -> Usage | None:
        """What the provider has reported up to now: once the stream has begun, at least the prompt."""
        return self._tally.usage

    def feed(self, name: bytes, data: bytes) -> list[Json]:
        """Return the chunks for one event. Raises StreamCut for an error event."""
        try:
            event = orjson.loads(data)
        except orjson.JSONDecodeError:
            self.unread += 1  # one bad event does not end a good stream
            return []
        if not isinstance(event, dict):
            return []
        kind = event.get("type") or name.decode("latin-1") or ("error" if event.get("error") else "")
        if kind == "error":
            raise in_stream(event)
        handler = _HANDLERS.get(kind) if isinstance(kind, str) else None
        return handler(self, event) if handler is not None else []

    def finish(self) -> list[Json]:
        """Raise StreamCut if the stream has ended before the answer did."""
        if not (self.ended or self._finished):
            raise StreamCut("The provider ended the stream before the answer was complete.")
        return []

    def _started(self, event: Json) -> list[Json]:
        """Take note of a message's beginning. Its chunk waits for content: until then another target may be tried."""
        message = _object(event, "message")
        for name in ("id", "model"):
            if isinstance(message.get(name), str) and message[name]:
                self._shape[name] = message[name]
        self._tally.note(message.get("usage"))
        return []

    def _block_started(self, event: Json) -> list[Json]:
        told = _object(event, "content_block")
        block = self._blocks[_index(event)] = _Block(told)
        chunks = self._role()
        if block.kind == "tool_use":
            block.call, self._calls = self._calls, self._calls + 1
            chunks += self._call_started(block)
        elif block.kind == "text" and told.get("text"):
            chunks += self._chunk({"content": told["text"]})
        elif block.kind == "thinking" and told.get("thinking"):
            chunks += self._chunk({"reasoning_content": told["thinking"]})
        return chunks

    def _call_started(self, block: "_Block") -> list[Json]:
        name = block.text("name")
        function = {"name": self._names.get(name, name), "arguments": ""}
        if self._legacy:
            return self._chunk({"function_call": function}) if block.call == 0 else []
        call = {"index": block.call, "id": block.text("id"), "type": "function", "function": function}
        return self._chunk({"tool_calls": [call]})

    def _arguments(self, block: "_Block", text: str) -> list[Json]:
        if self._legacy:
            return self._chunk({"function_call": {"arguments": text}}) if block.call == 0 else []
        return self._chunk({"tool_calls": [{"index": block.call, "function": {"arguments": text}}]})

    def _block_grew(self, event: Json) -> list[Json]:
        block, delta = self._blocks.get(_index(event)), _object(event, "delta")
        name = _GROWTH.get((block.kind, str(delta.get("type")))) if block is not None else None
        text = delta.get(name) if name is not None else None
        if block is None or not isinstance(text, str) or not text:
            return []
        if name == "signature":
            block.told["signature"] = text
            return []
        if name == "partial_json":
            block.argued = True
            return self._arguments(block, text)
        if name == "thinking":
            block.thoughts.append(text)
            return self._chunk({"reasoning_content": text})
        return self._chunk({"content": text})

    def _block_stopped(self, event: Json) -> list[Json]:
        block = self._blocks.pop(_index(event), None)
        if block is None:
            return []
        if block.thoughts:
            block.told["thinking"] = block.text("thinking") + "".join(block.thoughts)
        if (kept := reply.kept_thought(block.told)) is not None:
            self._thoughts.append(kept)
        if block.kind == "tool_use" and not block.argued:
            return self._arguments(block, _whole_input(block))
        return []

    def _message_grew(self, event: Json) -> list[Json]:
        self._tally.note(event.get("usage"))
        delta = _object(event, "delta")
        return [] if delta.get("stop_reason") is None else self._close(delta)

    def _stopped(self, event: Json) -> list[Json]:
        self.ended = True
        return self._close({})

    def _close(self, delta: Json) -> list[Json]:
        """Return the last chunk, with the reason and, in one piece, the signed thoughts for the next turn."""
        if self._finished:
            return []
        self._finished = True
        said: Json = {}
        if self._thoughts:  # once and whole: clients that add up deltas cannot add up lists without an index
            said["thinking_blocks"] = self._thoughts
        if (refused := reply.refusal(delta)) is not None:
            said["refusal"] = refused
        reason = openai_reason(delta.get("stop_reason"), called=self._calls > 0, legacy=self._legacy)
        return self._role() + self._chunk(said, reason)

    def _role(self) -> list[Json]:
        if self._begun:
            return []
        self._begun = True
        return self._chunk({"role": "assistant", "content": ""})

    def _chunk(self, delta: Json, reason: str | None = None) -> list[Json]:
        return [{**self._shape, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}]


class _Block:
    """One open content block: what was said of it at its start, and what its deltas added."""

    __slots__ = ("argued", "call", "kind", "thoughts", "told")

    def __init__(self, told: Json) -> None:
        self.told = dict(told)
        self.kind = self.text("type")
        self.call = 0  # its number among the calls
        self.argued = False
        self.thoughts: list[str] = []

    def text(self, name: str) -> str:
        value = self.told.get(name)
        return value if isinstance(value, str) else ""


def _whole_input(block: _Block) -> str:
    """Return the input of a call that came without deltas: none as a rule, some send all of it at the start."""
    try:
        return reply.arguments(block.told.get("input"))
    except UpstreamError as error:
        raise StreamCut(error.message, code=error.code) from None


# Which deltas belong in which kind of block, and where in the delta the text is.
_GROWTH = {
    ("text", "text_delta"): "text",
    ("thinking", "thinking_delta"): "thinking",
    ("thinking", "signature_delta"): "signature",
    ("tool_use", "input_json_delta"): "partial_json",
}
_HANDLERS: dict[str, Callable[[Translator, Json], list[Json]]] = {
    "message_start": Translator._started,
    "content_block_start": Translator._block_started,
    "content_block_delta": Translator._block_grew,
    "content_block_stop": Translator._block_stopped,
    "message_delta": Translator._message_grew,
    "message_stop": Translator._stopped,
}


def _object(event: Json, name: str) -> Json:
    value: Any = event.get(name)
    return value if isinstance(value, dict) else {}


def _index(event: Json) -> int:
    index = event.get("index")
    return index if isinstance(index, int) else 0
