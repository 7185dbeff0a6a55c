"""OpenAI's chunks as Gemini's: each a whole response with only what is new, a call in one piece, usage in the last."""

from dataclasses import dataclass, field

import orjson

from accounts.prices import Usage
from proxy.dialects.base import Json, StreamEncoder
from proxy.dialects.gemini import outward, signed
from proxy.errors import GatewayError
from proxy.providers.gemini.usage import as_gemini


@dataclass(slots=True)
class Call:
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Choice:
    """What a choice has not told yet: calls, by their index, until they are whole, and why it ended."""

    calls: dict[int, Call] = field(default_factory=dict)
    broken: bool = False
    reason: str | None = None


class GeminiEncoder(StreamEncoder):
    """One stream. `thoughts`: the caller asked to see what the model thinks."""

    comments = False  # google-genai (3.4.0) takes a comment for JSON, and fails

    def __init__(self, model: str, *, thoughts: bool) -> None:
        self._thoughts = thoughts
        self._shape: Json = {"modelVersion": model}
        self._choices: dict[int, Choice] = {}

    def feed(self, chunk: Json) -> bytes:
        if not self._choices:
            self._shape |= outward.shape(chunk)
        candidates = []
        for place, each in enumerate(outward.dicts(chunk.get("choices"))):
            index = outward.index_of(each, place)
            parts = self._grow(self._choices.setdefault(index, Choice()), each)
            if parts:
                candidates.append(outward.candidate(index, parts, logprobs=each.get("logprobs")))
        return _event({"candidates": candidates} | self._shape) if candidates else b""

    def end(self, usage: Usage | None, cost: str) -> tuple[bytes, bytes]:
        """Return the chunk with the finish reasons, the usage and the cost: comments have no place here."""
        candidates = []
        for index, choice in (self._choices or {0: Choice()}).items():
            parts = _whole(choice)
            reason = outward.finish(choice.reason, broken=choice.broken)
            candidates.append(outward.candidate(index, parts, reason))
        told: Json = {"candidates": candidates}
        if usage is not None:
            told["usageMetadata"] = as_gemini(usage)
        return b"", _event(told | self._shape | {"cost": cost})

    def error(self, error: GatewayError) -> bytes:
        return _event(outward.error(error))

    def _grow(self, choice: Choice, each: Json) -> list[Json]:
        """Take in a choice of a chunk and return the parts that are whole."""
        delta = each.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        parts = outward.spoken(delta, thoughts=self._thoughts)
        calls = [call for call in outward.dicts(delta.get("tool_calls")) if outward.called(call)]
        if isinstance(delta.get("function_call"), dict):
            calls.append({"index": 0, "function": delta["function_call"]})
        for place, call in enumerate(calls):
            known = choice.calls.setdefault(outward.index_of(call, place), Call())
            known.id = known.id or outward.text(call, "id")
            known.name = known.name or outward.text(call["function"], "name")
            known.arguments += outward.text(call["function"], "arguments")
        if isinstance(each.get("finish_reason"), str):
            choice.reason = each["finish_reason"]
            parts += _whole(choice)
        signed.sign(parts, delta.get("thinking_blocks"))
        return parts


def _event(told: Json) -> bytes:
    return b"data: " + orjson.dumps(told) + b"\r\n\r\n"


def _whole(choice: Choice) -> list[Json]:
    """Return the calls that wait, in order. Arguments that are not JSON, mostly cut off, are no call."""
    waiting, choice.calls = choice.calls, {}
    made = [outward.call_part(call.name, call.arguments, call.id) for _, call in sorted(waiting.items())]
    choice.broken = choice.broken or None in made
    return [part for part in made if part is not None]
