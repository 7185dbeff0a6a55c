"""How Gemini's requests may be written: names in camelCase or snake_case, one object where a list of them is meant.

Source: the JSON mapping of protocol buffers, whose parser Google uses.
"""

from functools import lru_cache

from proxy.dialects import checks
from proxy.dialects.base import Json
from proxy.errors import BadRequest


@lru_cache(maxsize=1024)
def camel(name: str) -> str:
    """Return a member's name as the reference writes it."""
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest) if head else name


def spelled(holder: Json) -> Json:
    """Return an object of the protocol with its members' names in camelCase. What they hold stays as it is."""
    return {camel(name): value for name, value in holder.items()}


def inner(holder: Json, name: str, *, path: str = "") -> Json:
    """Return a member that is an object of the protocol, empty if it is missing or null."""
    return spelled(checks.optional(holder, name, dict, path=path) or {})


def several(holder: Json, name: str, *, path: str = "") -> list[Json]:
    """Return a member that is a list of objects, or one of them alone; empty if it is missing or null."""
    value = holder.get(name)
    listed = [value] if type(value) is dict else checks.objects(holder, name, path=path)
    return [spelled(each) for each in listed]


def cannot(name: str, why: str) -> BadRequest:
    """Return the error for what only Gemini understands. Its shape of errors names parameters in the text only."""
    return checks.unsupported(name, f"{name}: {why}")
