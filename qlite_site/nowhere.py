"""What is said where nothing is: a page to browsers, JSON to programs, which may have forgotten the `/v1`."""

import time

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.defaults import page_not_found

from accounts.ledger.ids import uuid7
from proxy.errors import NotFound

OF_THE_API = ("chat", "completions", "embeddings", "messages", "models", "responses")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if "text/html" in request.headers.get("accept", "text/html"):
        return page_not_found(request, exception)
    return HttpResponse(_body(request.path), content_type="application/json", status=404, headers=_marks())


def _body(path: str) -> bytes:
    forgot = path.lstrip("/").startswith(OF_THE_API)
    hint = " The base URL of OpenAI's clients ends in /v1 here." if forgot else ""
    return orjson.dumps(NotFound(f"There is nothing at this address.{hint}").body())


def _marks() -> dict[str, str]:
    ours = uuid7(time.time())
    return {"X-Error-Origin": "gateway", "X-Qlite-Id": ours, "X-Request-Id": ours}
