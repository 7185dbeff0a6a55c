"""Rules of the room as complaints about a row's fields."""

from collections.abc import Callable
from typing import Any


def collect(errors: dict[str, str], field: str, check: Callable[..., None], *args: Any) -> None:
    try:
        check(*args)
    except ValueError as error:
        errors[field] = str(error)
