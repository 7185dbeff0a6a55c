"""An OpenAI chat completion as Gemini's response, and our errors in its shape."""

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.dialects.base import Json
from proxy.dialects.gemini import signed
from proxy.errors import GatewayError
from proxy.providers.gemini.usage import as_gemini
from proxy.providers.openai import parse_usage

REASONS = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "function_call": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}
# Source: google.rpc.Code and its mapping to HTTP.
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def response(completion: Mapping[str, Any], *, thoughts: bool) -> Json:
    """Return the response; what the model thought only where the caller asked to see it."""
    candidates = [
        _candidate(choice, place, thoughts=thoughts) for place, choice in enumerate(dicts(completion.get("choices")))
    ]
    told: Json = {"candidates": candidates}
    reported = completion.get("usage")
    used = parse_usage(reported) if isinstance(reported, dict) else None
    if used is not None:
        told["usageMetadata"] = as_gemini(used)
    return told | shape(completion)


def shape(holder: Mapping[str, Any]) -> Json:
    """Return what the response, or every chunk of a stream, says of itself."""
    named = (("modelVersion", holder.get("model")), ("responseId", holder.get("id")))
    return {name: value for name, value in named if isinstance(value, str)}


def _candidate(choice: Json, place: int, *, thoughts: bool) -> Json:
    said = choice.get("message")
    said = said if isinstance(said, dict) else {}
    calls = [each["function"] | {"id": each.get("id")} for each in dicts(said.get("tool_calls")) if called(each)]
    if not calls and isinstance(said.get("function_call"), dict):
        calls = [said["function_call"]]
    parts = spoken(said, thoughts=thoughts)
    made = [call_part(text(call, "name"), text(call, "arguments"), call.get("id")) for call in calls]
    parts += [part for part in made if part is not None]
    signed.sign(parts, said.get("thinking_blocks"))
    reason = finish(choice.get("finish_reason"), broken=None in made)
    return candidate(index_of(choice, place), parts, reason, choice.get("logprobs"))


def candidate(index: int, parts: list[Json], reason: str | None = None, logprobs: Any = None) -> Json:
    """Return a candidate, which always has a part: clients look for the first one."""
    told: Json = {"content": {"parts": parts or [{"text": ""}], "role": "model"}}
    if reason is not None:
        told["finishReason"] = reason
    if (result := _logprobs(logprobs)) is not None:
        told["logprobsResult"] = result
    return told | {"index": index}


def finish(reason: Any, *, broken: bool = False) -> str:
    """Return Gemini's word for OpenAI's. `broken`: a call's arguments are not JSON, mostly because they were cut."""
    if broken and reason != "length":
        return "MALFORMED_FUNCTION_CALL"
    return REASONS.get(reason, "OTHER") if isinstance(reason, str) else "STOP"


def spoken(said: Mapping[str, Any], *, thoughts: bool) -> list[Json]:
    """Return what a message, or the delta of a chunk, says: thoughts, text, a refusal's words, pictures."""
    thought = text(said, "reasoning_content") or text(said, "reasoning")
    parts: list[Json] = [{"text": thought, "thought": True}] if thought and thoughts else []
    content = said.get("content")
    texts = [text(each, "text") for each in dicts(content)] if isinstance(content, list) else [text(said, "content")]
    parts += [{"text": each} for each in (*texts, text(said, "refusal")) if each]
    for picture in dicts(said.get("images")):
        url = picture.get("image_url")
        head, mark, data = text(url, "url").partition(";base64,") if isinstance(url, dict) else ("", "", "")
        if mark and head.startswith("data:"):
            parts.append({"inlineData": {"mimeType": head.removeprefix("data:"), "data": data}})
    return parts


def call_part(name: str, arguments: str, call_id: Any) -> Json | None:
    """Return a call, None if its arguments are not an object."""
    try:
        args = orjson.loads(arguments) if arguments.strip() else {}
    except orjson.JSONDecodeError:
        return None
    if not isinstance(args, dict):
        return None
    call: Json = {"name": name, "args": args}
    return {"functionCall": {"id": call_id} | call if isinstance(call_id, str) and call_id else call}


def error(error: GatewayError) -> Json:
    """Return the body of an error: {"error": {"code", "message", "status", "details"}}."""
    status = STATUSES.get(error.status, "INTERNAL" if error.status >= 500 else "INVALID_ARGUMENT")
    reason: Json = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": (error.code or error.type).upper(),
        "domain": "qlite",
    }
    details = [reason | ({"metadata": {"param": error.param}} if error.param else {})]
    if error.param and error.status == 400:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
    if error.retry_after is not None:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{error.retry_after}s"})
    return {"error": {"code": error.status, "message": error.message, "status": status, "details": details}}


def counted(tokens: int) -> Json:
    """Return the answer to countTokens."""
    return {"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]}


def _logprobs(logprobs: Any) -> Json | None:
    steps = dicts(logprobs.get("content")) if isinstance(logprobs, dict) else []
    if not steps:
        return None
    return {
        "chosenCandidates": [_token(step) for step in steps],
        "topCandidates": [{"candidates": [_token(each) for each in dicts(step.get("top_logprobs"))]} for step in steps],
    }


def _token(step: Json) -> Json:
    return {"token": step.get("token"), "logProbability": step.get("logprob")}


def called(call: Json) -> bool:
    return isinstance(call.get("function"), dict)


def index_of(choice: Json, place: int) -> int:
    index = choice.get("index")
    return index if type(index) is int else place


def dicts(value: Any) -> list[Json]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def text(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""
