"""What an error answer in OpenAI's shape means, or in one of the shapes that its many imitators give it."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from proxy.errors import UpstreamError, UpstreamRefused
from routing.values import Provider, Target

LONGEST_WAIT = 3600  # seconds of Retry-After that we pass on
BLAMES_REQUEST = frozenset({400, 413, 422})
BUSY = frozenset({498, 503, 529})  # 498 is Groq's word for flex capacity exceeded
LATE = frozenset({408, 504})
NO_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "insufficient_balance"})
TOO_LONG = re.compile(
    r"prompt is too long|maximum context length|context (?:size|window|length) (?:has been )?exceeded"
    r"|exceeds? (?:the maximum number of tokens|(?:the )?(?:available |model's )?(?:maximum )?context)",
    re.IGNORECASE,
)


def answered(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamError:
    """Return what an error answer means. Only the request's own faults keep the provider's words."""
    detail, provider = _detail(body), target.provider
    if status in BLAMES_REQUEST:
        return _blamed(status, detail, provider)
    if status == 402 or (status in {403, 429} and NO_CREDIT & {_word(detail.get("code")), _word(detail.get("type"))}):
        said = f"{provider.name} says that the gateway's account has no credit."
        return UpstreamError(said, status=429, code="insufficient_quota", upstream_status=status)
    said, code, reply = _ours(status, provider.name)
    wait = _retry_after(headers)
    usual = 1 if reply in {429, 503} else None
    error = UpstreamError(said, status=reply, code=code, retry_after=wait or usual, upstream_status=status)
    error.asked_to_wait = wait is not None
    return error


def _blamed(status: int, detail: Mapping[str, Any], provider: Provider) -> UpstreamError:
    """The request's own fault, in the provider's words."""
    said = _clean(_message(detail), provider)
    refused = UpstreamRefused(
        said or f"{provider.name} refused the request with status {status}.",
        status=status,
        param=_word(detail.get("param")),
        type=_word(detail.get("type")),
        upstream_status=status,
    )
    refused.code = _word(detail.get("code"))
    if status == 413 and refused.code is None:
        refused.code = "request_too_large"
    elif TOO_LONG.search(said) and (refused.code is None or refused.code.isdigit()):
        refused.code = "context_length_exceeded"
    return refused


def _ours(status: int, name: str) -> tuple[str, str, int]:
    """Return a sentence, a code and the caller's status for trouble between us and the provider."""
    said, code, reply = f"{name} answered with status {status}.", "upstream_error", 503 if status in BUSY else 502
    if status in {401, 403}:
        said, code = f"{name} did not accept the gateway's credential.", "upstream_auth_error"
    elif status == 404:
        said, code, reply = f"{name} does not know the model of this target.", "model_not_found", 404
    elif status == 429:
        said, code, reply = f"{name} is limiting our rate of requests.", "upstream_rate_limited", 429
    elif 300 <= status < 400:
        said, code = f"{name} answered with a redirect, which is never followed.", "upstream_redirect"
    elif status in LATE:
        code, reply = "upstream_timeout", 504
    return said, code, reply


def _detail(body: bytes) -> dict[Any, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(parsed, dict):
        return {}
    inner = parsed.get("error", parsed)
    return inner if isinstance(inner, dict) else {"message": inner}


def _message(detail: Mapping[str, Any]) -> str:
    """Return the words of an error: OpenAI's `message`, or the `detail` of servers made with FastAPI."""
    said = detail.get("message") or detail.get("detail")
    if isinstance(said, dict):
        said = said.get("detail")
    if isinstance(said, list):
        return "; ".join(_fault(each) for each in said if isinstance(each, dict))
    return said if isinstance(said, str) else ""


def _fault(each: Mapping[str, Any]) -> str:
    where = each.get("loc")
    place = ".".join(map(str, where)) if isinstance(where, list) else ""
    return f"{place}: {each.get('msg')}" if place else str(each.get("msg"))


def _word(value: Any) -> str | None:
    return value[:128] if isinstance(value, str) else None


def _clean(said: str, provider: Provider) -> str:
    """Return the provider's message without our credential and address, which some providers echo."""
    for private in (provider.secret, provider.base_url):
        if private:
            said = said.replace(private, "***")
    return said


def _retry_after(headers: Mapping[str, str]) -> int | None:
    """Return when to come again, in whole seconds, at most LONGEST_WAIT; None where it is not said, or is garbage."""
    value, scale = headers.get("retry-after"), 1.0
    if value is None:
        value, scale = headers.get("retry-after-ms"), 0.001
    if value is None:
        return None
    try:
        seconds = float(value) * scale
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (when.astimezone(UTC) - datetime.now(UTC)).total_seconds()
    return int(min(max(seconds + 0.999, 1), LONGEST_WAIT)) if seconds == seconds else None
