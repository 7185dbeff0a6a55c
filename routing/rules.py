"""What a well-formed routing table looks like: names, patterns, bounds. Each rule raises ValueError with a sentence."""

import re

WILDCARD = "*"
MAX_TIER = 99
MAX_WEIGHT = 1_000_000
MAX_TIMEOUT = 86_400.0
MAX_CACHE_TTL = 366 * 86_400
MAX_NAME = 255
MAX_RETRIES = 5
MAX_CONTEXT = 100_000_000  # tokens
DEFAULT_RETRIES = 1

WEIGHTED, FASTEST, CHEAPEST = "weighted", "fastest", "cheapest"
STRATEGIES = {
    WEIGHTED: "by weight",
    FASTEST: "fastest first, by the latest answers",
    CHEAPEST: "cheapest first, by the price book",
}
ANY, ONLY, NEVER = "any", "only", "never"
CONDITIONS = {ANY: "any call", ONLY: "only calls with", NEVER: "only calls without"}
NO_TARGETS_OF_ITS_OWN = "an alias has the targets of its route, and none of its own"

_PROVIDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TEAM = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_TAG = re.compile(r"[^=\s]{1,64}=[^=]{1,200}")
# What these hold is a secret, or the same for all of a caller's sessions; they are no sign of one session.
_NO_SESSION = frozenset({"authorization", "x-api-key", "x-goog-api-key", "cookie", "proxy-authorization"})
STICKY_USER = "user"
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


def check_alias(name: str, alias_of: str) -> None:
    """Check what the alias `name` stands for; a `*` in it is what the alias's own `*` matched."""
    if alias_of and WILDCARD in alias_of and WILDCARD not in name:
        raise ValueError(f"alias_of {alias_of!r} has a '*', but {name!r} is not a pattern")
    if alias_of == name:
        raise ValueError(f"{name!r} would be an alias of itself")


def check_team(slug: str) -> None:
    """Accept a team's short name."""
    if not _TEAM.fullmatch(slug):
        raise ValueError(f"{slug!r} is no team: give its short name, letters, digits, '-' and '_', at most 64")


def check_sticky(text: str) -> None:
    """Accept `user`, or the name of a header that says which session a call belongs to."""
    if not _HEADER.fullmatch(text) or text.lower() in _NO_SESSION:
        raise ValueError(f"{text!r} is neither 'user' nor the name of a header such as X-Session-Id")


def check_tag(text: str) -> None:
    """Accept `name=value`."""
    if not _TAG.fullmatch(text) or not text.isprintable():
        raise ValueError(f"{text!r} is no tag: write name=value")


def check_percent(value: float | None, label: str) -> None:
    """Check a share of the calls in percent; None stands for no share."""
    if value is not None and not 0 <= value <= 100:
        raise ValueError(f"{label} {value:g} is outside 0 to 100 percent")


def check_shares(share: float | None, shadow: float | None) -> None:
    """A target answers a share of the calls, or gets copies of some: not both."""
    if share is not None and shadow is not None:
        raise ValueError("a target has either a share or a shadow share, not both")


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
    if not text.isprintable() or text.split() != [text]:
        raise ValueError(f"{text!r} has blanks or control characters, which no model name has")
