"""Checks of a caller's request that every dialect needs: the right type in the right place, named by its path."""

from collections.abc import Collection
from typing import Any, TypeVar

from proxy.errors import BadRequest

Json = dict[str, Any]
T = TypeVar("T")

WORDS: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "a whole number",
    list: "an array",
    dict: "an object",
}


def optional(holder: Json, name: str, kind: type[T], *, path: str = "") -> T | None:
    """Return a member that is of exactly that type, None if it is missing or null. `path` says where `holder` is."""
    value = holder.get(name)
    if value is None or type(value) is kind:
        return value
    raise wrong_type(path + name, WORDS[kind])


def required(holder: Json, name: str, kind: type[T], *, path: str = "") -> T:
    """Return a member that has to be there."""
    value = optional(holder, name, kind, path=path)
    if value is None:
        raise missing(path + name)
    return value


def whole(holder: Json, name: str, low: int, high: int | None = None, *, path: str = "") -> int | None:
    """Return a whole number within bounds, None if it is missing or null."""
    value = optional(holder, name, int, path=path)
    if value is not None and (value < low or (high is not None and value > high)):
        bounds = f"at least {low}" if high is None else f"between {low} and {high}"
        raise BadRequest(f"'{path}{name}' must be {bounds}.", param=path + name)
    return value


def number(holder: Json, name: str, low: float, high: float) -> float | None:
    """Return a number within bounds, None if it is missing or null."""
    value = holder.get(name)
    if value is None:
        return None
    if type(value) is not float and type(value) is not int:
        raise wrong_type(name, "a number")
    if not low <= value <= high:
        raise BadRequest(f"'{name}' must be between {low:g} and {high:g}.", param=name)
    return value


def one_of(holder: Json, name: str, values: Collection[str], *, path: str = "") -> str | None:
    """Return a string out of `values`, None if it is missing or null."""
    value = optional(holder, name, str, path=path)
    if value is not None and value not in values:
        raise BadRequest(f"'{path}{name}' must be one of {', '.join(values)}.", param=path + name)
    return value


def model_of(body: Json, otherwise: str = "") -> str:
    """Return the model asked for, in the body or, failing that, `otherwise`."""
    if otherwise and body.get("model") is None:
        return otherwise
    model = required(body, "model", str)
    if not model:
        raise BadRequest("'model' must not be empty.", param="model")
    return model


def objects(holder: Json, name: str, *, path: str = "") -> list[Json]:
    """Return an array of objects, empty if it is missing or null."""
    items = optional(holder, name, list, path=path) or []
    for place, item in enumerate(items):
        if type(item) is not dict:
            raise wrong_type(f"{path}{name}[{place}]", "an object")
    return items


def streams(body: Json) -> bool:
    """Return whether a stream is asked for; refuse `stream_options` where it is not."""
    stream = optional(body, "stream", bool) or False
    if optional(body, "stream_options", dict) is not None and not stream:
        raise BadRequest("'stream_options' is allowed only with 'stream': true.", param="stream_options")
    return stream


def wrong_type(name: str, words: str) -> BadRequest:
    return BadRequest(f"'{name}' must be {words}.", code="invalid_type", param=name)


def missing(name: str) -> BadRequest:
    return BadRequest(f"'{name}' is required.", code="missing_required_parameter", param=name)


def unsupported(name: str, sentence: str) -> BadRequest:
    return BadRequest(sentence, code="unsupported_parameter", param=name)
