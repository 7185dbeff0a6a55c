"""Everything that can go wrong on the way through the gateway.

* GatewayError                  500  our own fault
  x BadRequest                  400  the caller's JSON or parameters are wrong
  x NotAuthenticated            401  no key, or not a valid one
  x TooManyGuesses              429  too many wrong keys from one address
  x NotAllowed                  403
  x ModelUnpriced               403
  x NotFound                    404  no such URL
  x ModelNotFound               404  unknown and forbidden models alike
  x MethodNotAllowed            405
  x TooLarge                    413
  x UnsupportedMedia            415
  x OverBudget                  429  it may cost more than a budget has left
  x BudgetUnavailable           503  nobody knows what a budget has left
  x Unavailable                 503  journal full, database gone, shutting down
  x UpstreamError               502  one target failed; another may be tried
    + UpstreamRefused           as sent  the provider blames the request: no other target is tried
    + UpstreamTimeout           504
    + CannotSay                 400  the target's dialect has no word for it
    + UpstreamLost              502  the connection broke after the request was sent: it may have been billed
    + StreamCut                 -    after the first byte: becomes an event inside the stream
  x AllTargetsFailed            the last failure's status; lists every target

Codes and types are those of OpenAI; see reliability conventions in docs/api.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.money import usd
from accounts.prices import Usage

MESSAGE_LIMIT = 1500  # characters; an error body stays below 2 KiB

TYPES = {401: "invalid_request_error", 403: "permission_error", 429: "rate_limit_error"}


class GatewayError(Exception):
    status = 500
    code: str | None = "internal_error"
    origin = "gateway"
    retry_after: int | None = None

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message[:MESSAGE_LIMIT]
        self.param = param
        if status is not None:
            self.status = status
        if code is not None:
            self.code = code
        if retry_after is not None:
            self.retry_after = retry_after

    @property
    def type(self) -> str:
        """The OpenAI error type that goes with the status."""
        if self.code == "insufficient_quota":
            return "insufficient_quota"
        return TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")

    def body(self) -> dict[str, Any]:
        """Return the body OpenAI's SDKs expect: {"error": {"message", "type", "param", "code"}}."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class BadRequest(GatewayError):
    status, code = 400, "invalid_value"


class NotAuthenticated(GatewayError):
    status, code = 401, "invalid_api_key"


class TooManyGuesses(GatewayError):
    status, code = 429, "too_many_auth_failures"


class NotAllowed(GatewayError):
    status, code = 403, "permission_denied"


class NotFound(GatewayError):
    status, code = 404, "not_found"


class ModelNotFound(GatewayError):
    status, code = 404, "model_not_found"

    def __init__(self, model: str) -> None:
        super().__init__(f"The model {model[:64]!r} does not exist or you do not have access to it.", param="model")


class ModelUnpriced(GatewayError):
    """None of the targets has a price, and the team, or a hard budget, demands one."""

    status, code = 403, "model_unpriced"

    def __init__(self, model: str, *, why: str = "your team may use only models that have one") -> None:
        super().__init__(f"The model {model[:64]!r} has no price yet, and {why}.", param="model")


class MethodNotAllowed(GatewayError):
    """`allow` goes out as the Allow header."""

    status, code = 405, "method_not_allowed"

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class TooLarge(GatewayError):
    status, code = 413, "request_too_large"


class UnsupportedMedia(GatewayError):
    status, code = 415, "unsupported_media_type"


@dataclass(frozen=True, slots=True)
class Over:
    """Which budget refuses a call, and why. Nano-USD; `left_nano` is None where it would tell of others' spending."""

    scope: str
    window: str
    limit_nano: int
    left_nano: int | None
    needed_nano: int
    resets_at: datetime | None


class OverBudget(GatewayError):
    """The call may cost more than a budget has left. The message names amounts, and nobody else's."""

    status, code = 429, "insufficient_quota"

    def __init__(self, over: Over) -> None:
        self.over = over
        left = "" if over.left_nano is None else f" ${usd(over.left_nano)} is left."
        again = "" if over.resets_at is None else f" It begins anew at {over.resets_at.isoformat()}."
        super().__init__(
            f"This call may cost up to ${usd(over.needed_nano)}, more than is left of the budget of the {over.scope}"
            f" ({WINDOWS[over.window]}, ${usd(over.limit_nano)}).{left}{again}"
        )


WINDOWS = {"day": "for a day", "week": "for a week", "month": "for a month", "total": "in total"}


class BudgetUnavailable(GatewayError):
    status, code, retry_after = 503, "budget_unavailable", 1


class Unavailable(GatewayError):
    status, code, retry_after = 503, "ledger_unavailable", 1


class UpstreamError(GatewayError):
    status = 502
    code: str | None = "upstream_error"
    origin = "upstream"
    try_next = True
    sent = True  # whether the provider may have seen the request
    asked_to_wait = False  # whether `retry_after` is the provider's own wish
    limits: tuple[tuple[bytes, bytes], ...] = ()  # its rate-limit headers

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
        type: str | None = None,
        upstream_status: int | None = None,
        billable: bool = False,
    ) -> None:
        super().__init__(message, status=status, code=code, param=param, retry_after=retry_after)
        self._type = type
        self.upstream_status = upstream_status
        self.billable = billable  # tokens may have been produced and billed: the attempt counts as interrupted
        self.usage: Usage | None = None  # what the provider reported for an answer that is none, whole or so far
        self.usage_source = "provider"

    @property
    def type(self) -> str:
        return self._type or super().type


class UpstreamRefused(UpstreamError):
    status = 400
    code: str | None = "upstream_refused"
    try_next = False


class UpstreamUnreachable(UpstreamError):
    code = "upstream_connection_error"
    sent = False


class UpstreamTimeout(UpstreamError):
    status, code = 504, "upstream_timeout"


class UpstreamLost(UpstreamError):
    code = "upstream_connection_error"


class CannotSay(UpstreamError):
    """The target's dialect has no word for something in the request; `param` names it. Nothing was sent."""

    origin = "gateway"
    sent = False

    def __init__(self, error: BadRequest) -> None:
        super().__init__(
            error.message, status=error.status, code=error.code, param=error.param, type="invalid_request_error"
        )


class StreamCut(UpstreamError):
    code = "stream_interrupted"
    try_next = False


class AllTargetsFailed(UpstreamError):
    """Every target was tried: the last failure speaks, and the message lists them all."""

    try_next = False

    def __init__(self, failures: Mapping[str, UpstreamError]) -> None:
        last = list(failures.values())[-1]
        waits = [failure.retry_after for failure in failures.values() if failure.retry_after is not None]
        busy = all(failure.status == 429 for failure in failures.values())
        listed = "; ".join(f"{name}: {failure.message}" for name, failure in failures.items())
        super().__init__(
            last.message if len(failures) == 1 else f"All targets failed. {listed}",
            status=last.status if len(failures) == 1 or busy or last.status in {404, 504} else 502,
            code=last.code,
            param=last.param,
            retry_after=min(waits) if busy and waits else last.retry_after,
            type=last._type,
            upstream_status=last.upstream_status,
        )
        self.limits = last.limits
        if all(failure.origin == "gateway" for failure in failures.values()):
            self.origin = "gateway"
