"""What Anthropic's errors mean, whether they come as an answer or as an event inside a stream."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from proxy.body import Json
from proxy.errors import StreamCut, UpstreamError, UpstreamRefused
from proxy.providers.refusals import answered as translate_error
from routing.values import Target

_TOO_LONG = re.compile(
    r"prompt is too long|maximum context length|exceeds? (?:the maximum number of tokens|(?:the )?context)",
    re.IGNORECASE,
)
_NO_CREDIT = re.compile(r"credit balance is too low|specified API usage limits", re.IGNORECASE)
_SECRET = re.compile(r"sk-[A-Za-z0-9_-]{8,}")
# Types of error events: the status that says the same, and our code for it.
_IN_STREAM = {
    "overloaded_error": (503, "upstream_error"),
    "rate_limit_error": (429, "upstream_rate_limited"),
    "timeout_error": (504, "upstream_timeout"),
    "authentication_error": (502, "upstream_auth_error"),
    "permission_error": (502, "upstream_auth_error"),
    "billing_error": (429, "insufficient_quota"),
    "invalid_request_error": (400, "upstream_refused"),
    "request_too_large": (413, "request_too_large"),
    "not_found_error": (404, "model_not_found"),
}


def answered(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamError:
    """Return what an error answer means: the request's own fault, or trouble of this target."""
    said = _said(body)
    broke = status == 402 or (status in {400, 403} and _NO_CREDIT.search(said))
    if broke:  # the gateway's account is empty, which is nothing that the caller could mend
        return UpstreamError(
            f"{target.provider.name} says that the gateway's account has no credit.",
            status=429,
            code="insufficient_quota",
            upstream_status=status,
        )
    error = translate_error(status, headers, body, target)
    if isinstance(error, UpstreamRefused):
        error._type = "invalid_request_error"
        if status == 413:
            error.code = "request_too_large"
        elif _TOO_LONG.search(said):
            error.code = "context_length_exceeded"
    elif status in {408, 504}:
        error.status, error.code = 504, "upstream_timeout"
    return error


def in_stream(event: Json) -> StreamCut:
    """Return the error that an event inside a stream reports."""
    detail = event.get("error")
    detail = detail if isinstance(detail, dict) else {}
    kind = detail.get("type")
    status, code = _IN_STREAM.get(kind, (502, "upstream_error")) if isinstance(kind, str) else (502, "upstream_error")
    said = detail.get("message")
    told = _SECRET.sub("***", said) if isinstance(said, str) and said else "no reason given"
    if code == "upstream_auth_error":
        return StreamCut("The provider did not accept the gateway's credential.", status=status, code=code)
    return StreamCut(f"The provider broke off with an error: {told}", status=status, code=code)


def _said(body: bytes) -> str:
    try:
        parsed: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    detail = parsed.get("error") if isinstance(parsed, dict) else None
    said = detail.get("message") if isinstance(detail, dict) else None
    return said if isinstance(said, str) else ""
