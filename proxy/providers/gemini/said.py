"""What one candidate says, in a whole answer or in one chunk of a stream, and why it stopped."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from proxy.body import Json
from proxy.errors import UpstreamError

STOPPED_SHORT = frozenset({"MAX_TOKENS", "CONTINUATION"})
FILTERED = frozenset(
    (
        *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "ESCALATION"),
        *("PUP_LIMITED_DISABLED", "OTHER"),
    )
)
# The model failed at what it wanted to say: not an answer unless something else came with it.
FAILED = frozenset(
    (
        *("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"),
        "MISSING_THOUGHT_SIGNATURE",
    )
)


@dataclass(slots=True)
class Said:
    """`text` is None where there is no part of text at all. `signature` is that of parts which are not calls."""

    text: str | None = None
    reasoning: str = ""
    calls: list[Json] = field(default_factory=list)
    images: list[Json] = field(default_factory=list)
    signature: str = ""

    def message(self, *, legacy: bool = False) -> Json:
        """Return what OpenAI's message, or the delta of a chunk, holds of it beside the text.

        Who speaks of functions (`legacy`) knows of one call at a time, the first.
        """
        told: Json = {}
        if self.reasoning:
            told["reasoning_content"] = self.reasoning
        if self.calls and legacy:
            told["function_call"] = self.calls[0]["function"]
            told |= {name: value for name, value in self.calls[0].items() if name == "extra_content"}
        elif self.calls:
            told["tool_calls"] = self.calls
        if self.images:
            told["images"] = self.images
        return told | (_signed(self.signature) if self.signature else {})


def read(candidate: Mapping[str, Any], new_id: Callable[[], str], own_names: Mapping[str, str]) -> Said:
    """Return what a candidate says. `own_names` are the caller's names of functions, by those that Gemini knows."""
    said = Said()
    for part in objects(_inside(candidate, "content").get("parts")):
        signature = part.get("thoughtSignature")
        call = part.get("functionCall")
        if isinstance(call, dict) and isinstance(call.get("name"), str):
            said.calls.append(_call(call, signature, new_id, own_names))
            continue
        if isinstance(signature, str) and signature:
            said.signature = signature
        if isinstance(part.get("text"), str):
            _hear(said, part)
        elif (picture := _picture(part)) is not None:
            said.images.append(picture)
    return said


def _hear(said: Said, part: Json) -> None:
    if part.get("thought"):
        said.reasoning += part["text"]
    else:
        said.text = (said.text or "") + part["text"]


def _call(call: Json, signature: Any, new_id: Callable[[], str], own_names: Mapping[str, str]) -> Json:
    function = {"name": own_names.get(call["name"], call["name"]), "arguments": _arguments(call.get("args"))}
    call_id = call.get("id")
    made = {
        "id": call_id if isinstance(call_id, str) and call_id else new_id(),
        "type": "function",
        "function": function,
    }
    return made | (_signed(signature) if isinstance(signature, str) and signature else {})


def _arguments(args: Any) -> str:
    """Return arguments as text. Raises UpstreamError where they are nested deeper than can be written."""
    try:
        return orjson.dumps(args if isinstance(args, dict) else {}).decode()
    except TypeError as error:
        raise UpstreamError(
            "The model's call is nested too deeply.", code="upstream_invalid_response", billable=True
        ) from error


def _signed(signature: str) -> Json:
    """Return a signature where Google's own OpenAI layer has it, so that it can come back."""
    return {"extra_content": {"google": {"thought_signature": signature}}}


def _picture(part: Json) -> Json | None:
    inline = _inside(part, "inlineData")
    kind, data = inline.get("mimeType"), inline.get("data")
    if not isinstance(kind, str) or not kind.startswith("image/") or not isinstance(data, str) or part.get("thought"):
        return None
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}


def reason_of(candidate: Mapping[str, Any]) -> str:
    """Return Gemini's word for why a candidate stopped, "" where it gives none."""
    reason = candidate.get("finishReason")
    return reason if isinstance(reason, str) else ""


def finish_reason(reason: str, *, called: bool, legacy: bool = False) -> str:
    """Return OpenAI's word for one of Gemini's. A call decides only where the model stopped by itself."""
    if reason in STOPPED_SHORT:
        return "length"
    if reason in FILTERED or reason.startswith("IMAGE_"):
        return "content_filter"
    if not called or reason in FAILED:
        return "stop"
    return "function_call" if legacy else "tool_calls"


def logprobs(candidate: Mapping[str, Any]) -> Json | None:
    """Return the log probabilities of a candidate's tokens as OpenAI says them, None where there are none."""
    result = _inside(candidate, "logprobsResult")
    chosen = objects(result.get("chosenCandidates"))
    if not chosen:
        return None
    others = [objects(step.get("candidates")) for step in objects(result.get("topCandidates"))]
    others += [[]] * (len(chosen) - len(others))
    return {
        "content": [
            _token(each) | {"top_logprobs": [_token(other) for other in others[place]]}
            for place, each in enumerate(chosen)
        ]
    }


def _token(candidate: Json) -> Json:
    token, probability = candidate.get("token"), candidate.get("logProbability")
    text = token if isinstance(token, str) else ""
    known = isinstance(probability, int | float)
    return {"token": text, "logprob": probability if known else 0.0, "bytes": list(text.encode())}


def blocked(body: Mapping[str, Any]) -> bool:
    """Say whether the prompt itself was refused, so that there are no candidates."""
    return bool(_inside(body, "promptFeedback").get("blockReason"))


def objects(value: Any) -> list[Json]:
    """Return the objects in what should be a list of them."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _inside(holder: Mapping[str, Any], name: str) -> Json:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}
