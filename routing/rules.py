"""What a well-formed routing table looks like: names, patterns, bounds. Each rule raises ValueError with a sentence."""

import re

WILDCARD = "*"
MAX_TIER = 99
MAX_WEIGHT = 1_000_000
MAX_TIMEOUT = 86_400.0
MAX_CACHE_TTL = 366 * 86_400
MAX_NAME = 255

_PROVIDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
# Our own secrets: a provider that named one of these would send it to whoever owns the provider's address.
_OWN_VARIABLES = frozenset({"SECRET_KEY", "SECRET_KEY_FALLBACKS", "DATABASE_URL", "REDIS_URL"})
_OWN_PREFIX = "QLITE_"


def check_provider_name(name: str) -> None:
    """Refuse names that could not stand before the slash in `provider/model`."""
    if not _PROVIDER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no provider name: use letters, digits, '.', '_' and '-', at most 64")


def check_route_name(name: str) -> None:
    """Accept an exact model name or a pattern with one `*`."""
    _check_model_text(name, "route name")
    if name.count(WILDCARD) > 1:
        raise ValueError(f"{name!r} has more than one '*'; a pattern has exactly one")


def check_target_model(route: str, model: str) -> None:
    """Check the upstream name of a target of `route`; blank stands for what was asked."""
    if not model:
        return
    _check_model_text(model, "upstream model")
    if model.count(WILDCARD) > 1:
        raise ValueError(f"upstream model {model!r} has more than one '*'")
    if WILDCARD in model and WILDCARD not in route:
        raise ValueError(f"upstream model {model!r} has a '*', but the route {route!r} is not a pattern")


def check_variable_name(name: str) -> None:
    """Accept the name of an environment variable that may hold a provider's credential."""
    if not _VARIABLE_NAME.fullmatch(name):
        raise ValueError("this is not the name of an environment variable (letters, digits and '_', no '$')")
    if name in _OWN_VARIABLES or name.startswith(_OWN_PREFIX):
        raise ValueError(f"{name} belongs to qlite itself and is never sent to a provider")


def check_whole(value: int | None, at_most: int, label: str) -> None:
    """Check a whole number from 0 to `at_most`; a missing one is complained about elsewhere."""
    if value is not None and not 0 <= value <= at_most:
        raise ValueError(f"{label} {value} is outside 0 to {at_most}")


def check_seconds(value: float | None, label: str) -> None:
    """Check a time limit in seconds; None stands for the default."""
    if value is not None and not 0 < value <= MAX_TIMEOUT:
        raise ValueError(f"{label} {value} is not a number of seconds above 0 and up to {MAX_TIMEOUT:.0f}")


def _check_model_text(text: str, label: str) -> None:
    if not text:
        raise ValueError(f"the {label} is empty")
    if len(text) > MAX_NAME:
        raise ValueError(f"the {label} is longer than {MAX_NAME} characters")
    if not text.isprintable() or any(letter.isspace() for letter in text):
        raise ValueError(f"{text!r} has blanks or control characters, which no model name has")
