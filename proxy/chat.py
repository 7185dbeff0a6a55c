"""An incoming chat request: the few fields we act on are checked, everything else stays as it came."""

from dataclasses import dataclass
from typing import Any

from proxy import body as bodies
from proxy.body import Json
from proxy.errors import BadRequest

# A caller never chooses where a request goes, with which credential, or how long we wait (reliability SR-1).
FORBIDDEN = frozenset(
    (
        *("api_base", "base_url", "api_key", "api_version", "organization", "proxies", "timeout"),
        *("headers", "extra_headers", "extra_body", "extra_query", "mock_response", "custom_llm_provider"),
    )
)
MAX_CHOICES = 128
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


@dataclass(slots=True)
class Chat:
    """One chat-completions request. `raw` are the caller's bytes and `body` the same, parsed."""

    raw: bytes
    body: Json
    model: str
    stream: bool
    wants_usage: bool  # whether the caller asked for the usage chunk at the end of a stream


def parse(raw: bytes) -> Chat:
    """Return the request in `raw`. Raises BadRequest naming the parameter that is wrong."""
    body = bodies.parse(raw)
    refuse_forbidden(body)
    model = _required(body, "model", str, "a string")
    if not model:
        raise BadRequest("'model' must not be empty.", param="model")
    _check_messages(_required(body, "messages", list, "an array"))
    stream = _optional(body, "stream", bool, "a boolean") or False
    options = _optional(body, "stream_options", dict, "an object")
    if options is not None and not stream:
        raise BadRequest("'stream_options' is allowed only with 'stream': true.", param="stream_options")
    _check_numbers(body)
    return Chat(raw, body, model, stream, bool(options and options.get("include_usage")))


def refuse_forbidden(body: Json) -> None:
    """Raise BadRequest if the caller tries to choose where the request goes, or how."""
    for key in FORBIDDEN & body.keys():
        raise BadRequest(f"The parameter {key!r} is not supported here.", code="unsupported_parameter", param=key)
    metadata = body.get("metadata")
    if type(metadata) is dict:
        for key in metadata:
            if key in FORBIDDEN or key.lower().endswith("url"):
                name = f"metadata.{key[:64]}"
                raise BadRequest(f"The parameter {name!r} is not supported.", code="unsupported_parameter", param=name)


def _required(body: Json, name: str, kind: type, words: str) -> Any:
    if body.get(name) is None:
        raise BadRequest(f"'{name}' is required.", code="missing_required_parameter", param=name)
    return _optional(body, name, kind, words)


def _optional(body: Json, name: str, kind: type, words: str) -> Any:
    value = body.get(name)
    if value is not None and type(value) is not kind:
        raise BadRequest(f"'{name}' must be {words}.", code="invalid_type", param=name)
    return value


def _check_messages(messages: list[Any]) -> None:
    if not messages:
        raise BadRequest("'messages' must not be empty.", param="messages")
    for place, message in enumerate(messages):
        if type(message) is not dict:
            raise BadRequest(f"'messages[{place}]' must be an object.", code="invalid_type", param=f"messages[{place}]")
        role = message.get("role")
        if type(role) is not str or role not in ROLES:
            name = f"messages[{place}].role"
            raise BadRequest(f"'{name}' must be one of {', '.join(sorted(ROLES))}.", param=name)
        content = message.get("content")
        if content is not None and type(content) is not str and type(content) is not list:
            name = f"messages[{place}].content"
            raise BadRequest(f"'{name}' must be a string or an array of parts.", code="invalid_type", param=name)


def _check_numbers(body: Json) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        value = _optional(body, name, int, "a whole number")
        if value is not None and value < 1:
            raise BadRequest(f"'{name}' must be at least 1.", param=name)
    choices = _optional(body, "n", int, "a whole number")
    if choices is not None and not 1 <= choices <= MAX_CHOICES:
        raise BadRequest(f"'n' must be between 1 and {MAX_CHOICES}.", param="n")
    for name, low, high in (("temperature", 0, 2), ("top_p", 0, 1)):
        value = body.get(name)
        if value is None:
            continue
        if type(value) is not float and type(value) is not int:
            raise BadRequest(f"'{name}' must be a number.", code="invalid_type", param=name)
        if not low <= value <= high:
            raise BadRequest(f"'{name}' must be between {low} and {high}.", param=name)
