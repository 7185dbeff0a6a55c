"""Is an answer what the mock said? Compared byte for byte first, and by meaning where a gateway may add to it."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

Judgement = Literal["exact", "altered", "wrong"]
_COMMENT = re.compile(rb"(?m)^:[^\n]*\n\n?")
_KEPT = 256


@dataclass(slots=True)
class Verdict:
    """Counts the answers by judgement against the bytes `expected`, which the mock gave when asked directly.

    `exact`: the same bytes, SSE comments aside, which a gateway may add. `altered`: the same content and end otherwise
    framed, as a cache may replay it. `wrong`: anything else. With `messages` the answers are translated into
    Anthropic's dialect: `altered` at best.
    """

    expected: bytes
    messages: bool = False
    counts: Counter[Judgement] = field(default_factory=Counter)
    _known: dict[bytes, Judgement] = field(default_factory=dict)

    def judge(self, body: bytes) -> Judgement:
        """Judge one answer; a body that was seen before costs one lookup."""
        judgement = self._known.get(body)
        if judgement is None:
            judgement = self._compare(body)
            if len(self._known) < _KEPT:
                self._known[body] = judgement
        self.counts[judgement] += 1
        return judgement

    def _compare(self, body: bytes) -> Judgement:
        if not self.messages and (body == self.expected or _COMMENT.sub(b"", body) == self.expected):
            return "exact"
        try:
            same = self._says_the_same(body)
        except (ValueError, LookupError, TypeError):
            return "wrong"
        return "altered" if same else "wrong"

    def _says_the_same(self, body: bytes) -> bool:
        expected = meaning(self.expected)
        return said_in_messages(body) == (expected[0], True) if self.messages else meaning(body) == expected


def said_in_messages(body: bytes) -> tuple[str, bool]:
    """Text, and whether it came to its end, of a plain or streamed answer in Anthropic's dialect."""
    if body.startswith(b"{"):
        whole = orjson.loads(body)
        return "".join(block["text"] for block in whole["content"]), whole["stop_reason"] is not None
    events = [orjson.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: ")]
    deltas = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    return "".join(deltas), events[-1]["type"] == "message_stop"


def meaning(body: bytes) -> tuple[str, Any, bool]:
    """Content, finish reason and whether a stream said that it is done, of a plain or streamed chat answer."""
    if body.startswith(b"{"):
        choice = orjson.loads(body)["choices"][0]
        return choice["message"]["content"], choice["finish_reason"], True
    data = [line[6:].strip() for line in body.split(b"\n") if line.startswith(b"data: ")]
    done = data[-1:] == [b"[DONE]"]
    choices = [choice for item in data if item != b"[DONE]" for choice in orjson.loads(item)["choices"]]
    reasons = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
    return "".join(choice["delta"].get("content") or "" for choice in choices), reasons, done
