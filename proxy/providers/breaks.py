"""Errors that providers who speak OpenAI's dialect report inside a stream, in the forms that have been seen.

Some report them in an answer whose status is good, too: there they mean the same.

OpenAI, Ollama, LocalAI: `error` is an object. Text Generation Inference: a string. Groq: an event of that name.
OpenRouter: beside choices that finish with "error". Older vLLM: the whole event is the error, and says so in `object`.
Azure's content filters have an `error` of their own deeper inside, which breaks nothing.
"""

from collections.abc import Mapping
from typing import Any

from proxy.errors import StreamCut, UpstreamError, UpstreamRefused

UNSAID = "The provider reported an error and gave no reason."
NOT_ACCEPTED = "The provider did not accept the gateway's credential."
# Statuses told as a code, by OpenRouter for one, and what they would have meant as an answer's own status.
MEANT: dict[int, tuple[int, str]] = {
    **dict.fromkeys((401, 403), (502, "upstream_auth_error")),
    402: (429, "insufficient_quota"),
    404: (404, "model_not_found"),
    **dict.fromkeys((408, 504), (504, "upstream_timeout")),
    429: (429, "upstream_rate_limited"),
    **dict.fromkeys((498, 503, 529), (503, "upstream_error")),
}
# Types and codes of OpenAI's errors, and the status that goes with them.
OF_WORD = {
    **dict.fromkeys(("invalid_request_error", "invalid_prompt", "context_length_exceeded"), 400),
    **dict.fromkeys(("rate_limit_error", "rate_limit_exceeded", "insufficient_quota"), 429),
    **dict.fromkeys(("overloaded_error", "server_is_overloaded", "slow_down"), 503),
}

# What a body has that is an answer, whatever it says beside it. OpenAI's failed responses have an error and `output`.
ANSWERS = frozenset(
    {"choices", "content", "candidates", "output", "outputs", "data", "results", "embeddings", "embedding", "text"}
)


def reported(name: bytes, body: Mapping[str, Any] | None) -> StreamCut | None:
    """Return the error that an event reports, None where it reports none. `body` is its data, if that is an object."""
    body = body or {}
    whole = name == b"error" or body.get("object") == "error"
    error = body.get("error") or (body if whole else None)
    if error is None and not _finished_badly(body.get("choices")):
        return None
    return cut(error)


def cut(error: Any) -> StreamCut:
    """Return what an error, an object or a text, amounts to."""
    detail = error if isinstance(error, dict) else {"message": error}
    message, code = detail.get("message"), detail.get("code")
    said = message if isinstance(message, str) and message else UNSAID
    if isinstance(code, str) and code.isdecimal() and len(code) == len("429"):
        code = int(code)
    if type(code) is int and code in MEANT:
        status, ours = MEANT[code]
        said = NOT_ACCEPTED if ours == "upstream_auth_error" else said
        return StreamCut(said, status=status, code=ours, retry_after=1 if status in {429, 503} else None)
    kind, code = _word(detail.get("type")), _word(code)
    status = OF_WORD.get(code or "") or OF_WORD.get(kind or "", StreamCut.status)
    wait = 1 if status in {429, 503} else None
    param = _word(detail.get("param"))
    return StreamCut(said, status=status, code=code, param=param, type=kind, retry_after=wait)


def is_alone(body: Any) -> bool:
    """Say whether a body is an error and no answer. OpenRouter and many proxies send such under a good status."""
    return isinstance(body, dict) and bool(body.get("error")) and ANSWERS.isdisjoint(body)


def instead(found: StreamCut) -> UpstreamError:
    """Return the error that stood where an answer should, under a good status."""
    kind = UpstreamRefused if 400 <= found.status < 429 and found.status != 404 else UpstreamError
    error = kind(
        found.message,
        status=found.status,
        param=found.param,
        retry_after=found.retry_after,
        type=found._type,
        upstream_status=found.upstream_status,
    )
    if found.code != StreamCut.code:  # an answer was not cut, whatever else it lacks
        error.code = found.code
    return error


def _word(value: Any) -> str | None:
    return value[:128] or None if isinstance(value, str) else None


def _finished_badly(choices: Any) -> bool:
    listed = choices if isinstance(choices, list) else []
    return any(isinstance(choice, dict) and choice.get("finish_reason") == "error" for choice in listed)
