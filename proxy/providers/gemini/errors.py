"""What Gemini's errors mean for us and for the caller: at the start of an answer, and in the middle of a stream.

Source: Gemini API troubleshooting; google.rpc.Status with ErrorInfo and RetryInfo among its details.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import orjson

from proxy.body import Json
from proxy.errors import StreamCut, UpstreamError, UpstreamTimeout
from proxy.providers.gemini.said import objects
from proxy.providers.refusals import LONGEST_WAIT
from proxy.providers.refusals import answered as translate_error
from routing.values import Target

_KEY = re.compile(r"\bAIza[0-9A-Za-z_-]{10,}|\bAQ\.[0-9A-Za-z_-]{10,}|(?<=[?&]key=)[^&\s\"']+")
_TOO_LONG = re.compile(r"exceeds the maximum number of tokens|prompt is too long|maximum context length", re.IGNORECASE)
_WAIT = re.compile(r"retry in ([0-9.]+)s")
_KEY_REASONS = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED"})
_NOT_HERE = re.compile(r"location is not supported|free tier is not available|enable billing", re.IGNORECASE)


def translate(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamError:
    """Return what an error answer means, in the terms of `translate_error`, which knows whom a status blames."""
    detail = detail_of(_loaded(body))
    if status == 504:
        return UpstreamTimeout(f"{target.provider.name} did not finish in time.", upstream_status=status)
    shaped = {"message": _message(detail), "type": "invalid_request_error", "code": _code(status, detail)}
    wait = headers.get("retry-after") or retry_delay(detail)
    error = translate_error(
        _blame(status, detail),
        {"retry-after": wait} if wait else {},
        orjson.dumps({"error": shaped}),
        target,
    )
    error.upstream_status = status
    return error


def in_stream(detail: Json) -> StreamCut:
    """Return the error that Gemini reported inside a stream."""
    code = detail.get("code")
    status = code if type(code) is int else 500
    blame = _blame(status, detail)
    status, name = _IN_STREAM.get(blame, (400, None) if blame in (400, 413, 422) else (502, "upstream_error"))
    said = _message(detail) or "The provider reported an error and gave no reason."
    cut = StreamCut(
        "The provider did not accept the gateway's credential." if name == "upstream_auth_error" else said,
        status=status,
        retry_after=_seconds(retry_delay(detail)),
        upstream_status=blame,
    )
    cut.code = name or _code(blame, detail) or "upstream_refused"
    return cut


_IN_STREAM: dict[int, tuple[int, str]] = {
    401: (502, "upstream_auth_error"),
    403: (502, "upstream_auth_error"),
    404: (404, "model_not_found"),
    429: (429, "upstream_rate_limited"),
    503: (503, "upstream_error"),
    504: (504, "upstream_timeout"),
}


def detail_of(body: Any) -> Json:
    """Return the error in a body that is one, or a list of one; {} where it is neither."""
    if isinstance(body, list) and body:
        body = body[0]
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _loaded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _blame(status: int, detail: Json) -> int:
    """Return the status that says who is to blame, where Google's own says something else."""
    reasons = {each.get("reason") for each in objects(detail.get("details")) if isinstance(each.get("reason"), str)}
    if status == 400 and (reasons & _KEY_REASONS or "API key not valid" in _message(detail)):
        return 401
    if status == 400 and detail.get("status") == "FAILED_PRECONDITION" and _NOT_HERE.search(_message(detail)):
        return 502  # our account cannot be served from here, whatever is asked
    return status


def _code(status: int, detail: Json) -> str | None:
    if status == 413:
        return "request_too_large"
    return "context_length_exceeded" if _TOO_LONG.search(_message(detail)) else None


def _message(detail: Json) -> str:
    message = detail.get("message")
    return _KEY.sub("***", message) if isinstance(message, str) else ""


def _seconds(delay: str | None) -> int | None:
    """Return a wait in whole seconds, at most LONGEST_WAIT; None for garbage."""
    try:
        return min(max(math.ceil(float(delay or "")), 1), LONGEST_WAIT)
    except (ValueError, OverflowError):
        return None


def retry_delay(detail: Json) -> str | None:
    """Return how many seconds to wait: RetryInfo's "36s", or what the message says; None where neither does."""
    for each in objects(detail.get("details")):
        delay = each.get("retryDelay")
        if isinstance(delay, str) and delay.endswith("s"):
            return delay[:-1]
    found = _WAIT.search(_message(detail))
    return found[1] if found else None
