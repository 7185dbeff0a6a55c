"""What a value in a caller's request must be: BadRequest names it where it is something else."""

from typing import Any

from proxy.body import Json
from proxy.errors import BadRequest


def text(value: Any, param: str) -> str:
    if type(value) is not str:
        raise _wrong(value, param, "a string")
    return value


def an_object(value: Any, param: str) -> Json:
    if type(value) is not dict:
        raise _wrong(value, param, "an object")
    return value


def array(value: Any, param: str) -> list[Any]:
    if type(value) is not list:
        raise _wrong(value, param, "an array")
    return value


def boolean(value: Any, param: str) -> bool:
    if type(value) is not bool:
        raise _wrong(value, param, "a boolean")
    return value


def whole(value: Any, param: str, *, least: int) -> int:
    if type(value) is not int:
        raise _wrong(value, param, "a whole number")
    if value < least:
        raise BadRequest(f"'{param}' must be at least {least}.", param=param)
    return value


def number(value: Any, param: str) -> float:
    if type(value) is not float and type(value) is not int:
        raise _wrong(value, param, "a number")
    return value


def _wrong(value: Any, param: str, words: str) -> BadRequest:
    if value is None:
        return BadRequest(f"'{param}' is required.", code="missing_required_parameter", param=param)
    return BadRequest(f"'{param}' must be {words}.", code="invalid_type", param=param)
