"""The only fallback loop, for answers and streams alike."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from proxy.errors import AllTargetsFailed, UpstreamError
from routing.snapshot import Target

T = TypeVar("T")


async def first_success(targets: Sequence[Target], send: Callable[[Target], Awaitable[T]]) -> T:
    """Send to each target in turn and return the first answer.

    For a stream, `send` must return only after the first chunk has arrived: until then nothing has reached
    the caller and another target may be tried.

    Raises UpstreamRefused at once when a provider blames the request itself, and AllTargetsFailed, listing
    every failure, when the targets run out.
    """
    failures: dict[str, UpstreamError] = {}
    for target in targets:
        try:
            return await send(target)
        except UpstreamError as error:
            if not error.try_next:
                raise
            failures[target.name] = error
    raise AllTargetsFailed(failures)
