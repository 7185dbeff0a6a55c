"""How single values of a routing document are read. Each returns the normal form or raises ValueError with a sentence.

Strings stand for numbers and switches too, since ${VARIABLES} are strings.
"""

from collections.abc import Callable, Mapping
from typing import Any

from routing import rules
from routing.kinds import KINDS

STORED: dict[str, Any] = {"stored": True}
ON_WORDS = frozenset({"on", "true", "yes", "1"})
OFF_WORDS = frozenset({"off", "false", "no", "0"})


def text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    if "\x00" in value:
        raise ValueError("a NUL character cannot be stored")
    return value


def flag(value: Any) -> bool:
    word = str(value).lower()
    if not isinstance(value, bool) and word not in ON_WORDS | OFF_WORDS:
        raise ValueError(f"{value!r} is neither on nor off")
    return word in ON_WORDS


def whole(value: Any, at_most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is not a whole number")
    try:
        number = int(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a whole number") from None
    rules.check_whole(number, at_most, "the value")
    return number


def seconds(value: Any) -> float | None:
    found = number(value, "seconds")
    rules.check_seconds(found, "the value")
    return found


def name(check: Callable[[str], None]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        name = text(value)
        check(name)
        return name

    return read


def kind(value: Any) -> str:
    name = text(value)
    if name not in KINDS:
        raise ValueError(f"{name!r} is none of the kinds {', '.join(KINDS)}")
    return name


def credential(value: Any) -> dict[str, Any] | None:
    if value is None or value == STORED:
        return value and dict(STORED)
    if isinstance(value, Mapping) and set(value) == {"env"} and isinstance(value["env"], str):
        rules.check_variable_name(value["env"])
        return {"env": value["env"]}
    raise ValueError('a credential is {"env": NAME}, {"stored": true} or null; secrets do not belong here')


def targets(value: Any) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise ValueError("this is not a list")
    return value or []


def number(value: Any, unit: str) -> float | None:
    """Return a number, None where there is none; `unit` says of what."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a number of {unit}")
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a number of {unit}") from None


def percent(value: Any) -> float | None:
    found = number(value, "percent")
    rules.check_percent(found, "the value")
    return found


def whole_or_none(value: Any, at_most: int) -> int | None:
    return None if value is None or value == "" else whole(value, at_most)


def word(words: Mapping[str, str]) -> Callable[[Any], str]:
    """Return a reader for one of `words`."""

    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(f"{value!r} is none of {', '.join(words)}")
        return str(value)

    return read


def checked(check: Callable[[str], None]) -> Callable[[Any], str]:
    """Return a reader for a text that may be empty; `check` judges one that is not."""

    def read(value: Any) -> str:
        found = text(value)
        if found:
            check(found)
        return found

    return read
