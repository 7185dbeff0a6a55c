"""Answers that OpenAI makes in the background: billed once, when one of them shows for the first time that it is over.

Asked for with `background: true`, an answer is told at once, with nothing in it; its caller looks at it again later, or
follows it as a stream that may be left and taken up. So it is billed as batches are, and who asked for it pays nothing
for asking. Source: OpenAI's API reference, responses, `background`.
"""

from collections.abc import Iterator
from typing import Any

from proxy.native.batches import Share
from proxy.native.usage import reported

OVER = frozenset({"completed", "incomplete", "failed", "cancelled"})


def finished(response: Any) -> Iterator[Share]:
    """Yield the share of an answer that was made in the background, is over, and says what it used."""
    if not is_background(response) or response.get("status") not in OVER:
        return
    usage, id, model = reported(response), response.get("id"), response.get("model")
    if isinstance(id, str) and isinstance(model, str) and usage is not None and usage.as_dict():
        begun = response.get("created_at")
        at = float(begun) if type(begun) in {int, float} else 0.0
        yield Share(id, id, model, (usage,), begun=at, surface="background")


def is_background(response: Any) -> bool:
    """Whether this is an answer, or a request for one, that is made in the background."""
    return isinstance(response, dict) and response.get("background") is True
