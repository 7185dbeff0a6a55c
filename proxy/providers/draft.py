"""A chat request on its way to another dialect: for whom, what the model can do, which hints were left out."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from proxy.errors import BadRequest

NAME_LIMIT = 64  # characters of a caller's own parameter name that are said again
Can = TypeVar("Can")


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

    def refuse(self, param: str, why: str) -> BadRequest:
        """Return the error for what cannot be said, and would change the answer if it were left out."""
        return BadRequest(f"{self.provider}/{self.model}: {why}", code="unsupported_parameter", param=param)
