"""What a batch that is about to be made holds: its requests, where they stand in it and not in a file."""

import re
from typing import Any

from proxy.body import within
from proxy.call import Call

Request = tuple[str, dict[str, Any]]  # its model and its body
_GEMINI = re.compile(r"(?:models|tunedModels)/([^/:]+):(?:batchGenerateContent|asyncBatchEmbedContent)")


def requests(call: Call) -> list[Request] | None:
    """Return the requests of the batch that a call makes: none where they are in a file, None where it makes no batch.

    Sources: the API references of OpenAI, Groq and Anthropic; Gemini's batches, google-genai 3.4.0.
    """
    passing, body = call.passing, call.asked.body
    if passing is None or passing.method != "POST" or not passing.own_api:
        return None
    path = passing.path.rstrip("/")
    if path == "batches":
        return []
    if path == "messages/batches":
        return [(str(each.get("model")), each) for each in _each(body.get("requests"), "params")]
    if (named := _GEMINI.fullmatch(path)) is not None:
        held = within(body, "batch", "inputConfig") or within(body, "batch", "input_config")
        return [(named[1], each) for each in _each(within(held, "requests", "requests"), "request")]
    return None


def _each(listed: Any, name: str) -> list[dict[str, Any]]:
    found = [within(each, name) for each in listed] if isinstance(listed, list) else []
    return [each for each in found if isinstance(each, dict)]
