"""A stream as a golden file describes it: chunks, then an end with usage and cost, or an error."""

from typing import Any

import orjson

from accounts.prices import Usage
from proxy import sse
from proxy.dialects.base import Dialect
from proxy.errors import StreamCut


def streamed(dialect: Dialect, case: dict[str, Any]) -> bytes:
    """Return all that the caller gets, the comment with the cost included."""
    encoder = dialect.encoder(dialect.parse(orjson.dumps(case["asked"])))
    told = b"".join(encoder.feed(chunk) for chunk in case["chunks"])
    if error := case.get("error"):
        return told + encoder.error(StreamCut(error["message"], code=error["code"], status=error["status"]))
    before, after = encoder.end(Usage(**case["usage"]) if case["usage"] else None, case["cost"])
    return told + before + sse.comment(f"x-request-cost={case['cost']}") + after


def watched(dialect: Dialect, *pieces: bytes) -> dict[str, Any]:
    """Return what a watcher has seen of a stream that comes in `pieces`, as golden files say it."""
    watcher, splitter = dialect.watcher(), sse.Splitter()
    for block in [*map(splitter.feed, pieces), splitter.rest]:
        if watcher.interesting(block):
            for event in sse.events(block):
                data = sse.data_of(event)
                if data is not None:
                    watcher.feed(sse.name_of(event), data)
    error = watcher.error and {"message": watcher.error.message, "code": watcher.error.code}
    usage = watcher.usage.as_dict() if watcher.usage else None
    return {"usage": usage, "ended": watcher.ended, "complete": watcher.complete(), "error": error}
