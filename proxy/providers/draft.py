"""A chat request on its way to another dialect: for whom, what the model can do, which hints were left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from proxy.errors import BadRequest

MARKS = ("cache_control", "prompt_cache_breakpoint")
NAME_LIMIT = 64  # characters of a caller's own parameter name that are said again
Can = TypeVar("Can")
# What is known of a part of content, of a tool and of its function, whether a dialect has a word for it or not.
PART = frozenset({"type", "text", "refusal", "image_url", "video_url", "file", "input_audio", *MARKS})
PICTURE, FILE = frozenset({"url", "detail"}), frozenset({"filename", "file_data", "file_id"})
CALL, CALLED = frozenset({"id", "type", "function", "index", "extra_content", *MARKS}), frozenset({"name", "arguments"})
TOOL, FUNCTION = (
    frozenset({*own, *MARKS}) for own in (("type", "function"), ("name", "description", "parameters", "strict"))
)


@dataclass(slots=True)
class Draft(Generic[Can]):
    """`can` is what the dialect's package knows of the model."""

    provider: str
    model: str
    can: Can
    ignored: dict[str, None] = field(default_factory=dict)  # an ordered set

    def ignore(self, name: str) -> None:
        """Note that a hint is left out."""
        self.ignored[name[:NAME_LIMIT]] = None

    def note_unknown(self, holder: Mapping[str, Any], known: frozenset[str], path: str) -> None:
        """Note the members of `holder` that are not among the `known` ones, and so are left out."""
        for name in sorted(holder.keys() - known):
            if holder[name] is not None:
                self.ignore(f"{path}.{name}")

    def refuse(self, param: str, why: str) -> BadRequest:
        """Return the error for what cannot be said, and would change the answer if it were left out."""
        return BadRequest(f"{self.provider}/{self.model}: {why}", code="unsupported_parameter", param=param)
