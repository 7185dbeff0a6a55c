"""Answers that OpenAI makes in the background: billed once, when one of them shows for the first time that it is over.

Asked for with `background: true`, an answer is told at once, with nothing in it; its caller looks at it again later, or
follows it as a stream that may be left and taken up. So it is billed as batches are, and who asked for it pays nothing
for asking. Source: OpenAI's API reference, responses, `background`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from proxy import sse
from proxy.native.batches import Share
from proxy.native.usage import reported

OVER = ("completed", "incomplete", "failed", "cancelled")  # no set, since a status may be anything


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
    """Whether the provider says that it makes this answer in the background; the caller's word alone frees nobody."""
    told = isinstance(response, dict) and response.get("object") == "response"
    return told and response.get("background") is True


def apart(response: Any) -> bool:
    """Whether an answer is billed in a record of its own, now or when it is seen to be over."""
    open_still = is_background(response) and response.get("status") not in OVER
    return open_still or any(True for _ in finished(response))


def announced(kept: Iterable[bytes]) -> bool:
    """Whether the first event of a stream that has an answer in it says that it is made in the background."""
    for event in sse.events(b"".join(kept)):
        if isinstance(answer := _answer(event), dict):
            return is_background(answer)
    return False


def _answer(event: bytes) -> Any:
    try:
        said = orjson.loads(sse.data_of(event) or b"null")
    except orjson.JSONDecodeError:
        return None
    return said.get("response") if isinstance(said, dict) else None
