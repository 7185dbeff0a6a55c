"""From a model name to an answer: the name selects the fault, any other name is answered well."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from loadtest.upstream import shapes
from loadtest.upstream.answer import Answer, Piece, Then

SLOW_SECONDS = 1.0
# Long enough for the bytes before it to be read: a reset may discard what is still in flight.
BEFORE_RESET = 0.02

ERRORS: dict[int, tuple[str, str, str | None]] = {
    400: ("Invalid value for 'messages'.", "invalid_request_error", "invalid_value"),
    401: ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    403: ("You are not allowed to use this model.", "invalid_request_error", "forbidden"),
    404: ("The model does not exist or you do not have access to it.", "invalid_request_error", "model_not_found"),
    429: ("Rate limit reached for requests.", "requests", "rate_limit_exceeded"),
    503: ("The engine is currently overloaded.", "server_error", "overloaded"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What decides an answer: the model, the manner, and how the mock was started (`latency` in seconds)."""

    model: str
    stream: bool = False
    include_usage: bool = False
    latency: float = 0.0
    chunks: int = 3


Maker = Callable[[Asked, re.Match[str]], Answer]


def answer(asked: Asked) -> Answer:
    """The answer for a model name; FAULTS lists the names that mean something."""
    for pattern, maker in FAULTS:
        found = pattern.fullmatch(asked.model)
        if found:
            return maker(asked, found)
    return fine(asked)


def failing_first(model: str) -> tuple[int, int]:
    """Status and number of the hits that fail before a good answer: (500, 2) for `500x2-then-ok`, else (0, 0)."""
    found = THEN_OK.fullmatch(model)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def fine(asked: Asked) -> Answer:
    """A good answer, as OpenAI gives it."""
    return _stream(asked, _contents(asked), tail(asked)) if asked.stream else plain(asked)


def status(code: int) -> Answer:
    """An OpenAI error answer of that status."""
    message, kind, name = ERRORS.get(code, ("The server had an error.", "server_error", None))
    headers: dict[str, str | None] = {"retry-after": "1", "retry-after-ms": "1000"} if code == 429 else {}
    return Answer(status=code, headers=headers, body=shapes.error(message, kind, name))


def plain(asked: Asked, *, message: dict[str, Any] | None = None, finish: str = "stop", counted: bool = True) -> Answer:
    """A good answer that is not streamed; without usage when not `counted`."""
    message = message or {"content": "".join(shapes.words(asked.chunks))}
    usage = shapes.usage(asked.chunks) if counted else None
    return Answer(body=shapes.completion(asked.model, message, finish, usage), delay=asked.latency)


def tail(asked: Asked, *, finish: str = "stop", counted: bool = True, done: bool = True) -> list[bytes]:
    """The events after the content: finish reason, usage when asked for, the end mark."""
    events = [shapes.event(asked.model, {}, finish)]
    if asked.include_usage and counted:
        events.append(shapes.usage_event(asked.model, shapes.usage(asked.chunks)))
    return [*events, shapes.DONE] if done else events


def _contents(asked: Asked, count: int | None = None, **extra: Any) -> list[bytes]:
    return shapes.content_events(asked.model, shapes.words(asked.chunks if count is None else count), **extra)


def _stream(asked: Asked, contents: list[bytes], end: list[bytes], then: Then = "end") -> Answer:
    """The latency goes before each content event; what follows the last one comes at once and in one write."""
    chunks: list[Piece] = []
    for content in contents:
        chunks += [asked.latency, content] if asked.latency else [content]
    # An answer that ends before its first event still has sent its head.
    return Answer(chunks=[*chunks, b"".join(end)], then=then)


def _broken(then: Then) -> Maker:
    """K content events, or half of a plain body, and then the given end."""

    def make(asked: Asked, found: re.Match[str]) -> Answer:
        last: list[Piece] = [BEFORE_RESET] if then == "reset" else []
        if asked.stream:
            whole = _stream(asked, _contents(asked, int(found[1])), [], then)
            return replace(whole, chunks=[*(whole.chunks or ()), *last])
        body = plain(asked).body or b""
        headers = {"content-length": str(len(body))}
        return Answer(headers=headers, body=body[: len(body) // 2], delay=asked.latency, then=then)

    return make


def _pausing(asked: Asked, found: re.Match[str]) -> Answer:
    seconds = int(found[2]) / (1000 if found[3] == "ms" else 1)
    if not asked.stream:
        return replace(plain(asked), delay=asked.latency + seconds)
    events = _contents(asked, max(asked.chunks, int(found[1])))
    return Answer(chunks=[*events[: int(found[1])], b"", seconds, *events[int(found[1]) :], b"".join(tail(asked))])


def _paced(asked: Asked, found: re.Match[str]) -> Answer:
    return fine(replace(asked, chunks=int(found[1]), latency=int(found[2]) / 1000))


def _slow(asked: Asked, found: re.Match[str]) -> Answer:
    return fine(replace(asked, latency=max(SLOW_SECONDS, asked.latency)))


def _bad_json(asked: Asked, found: re.Match[str]) -> Answer:
    if not asked.stream:
        return Answer(body=(plain(asked).body or b"")[:-10], delay=asked.latency)
    at = int(found[1])
    events = _contents(asked, max(asked.chunks, at))
    return _stream(asked, [*events[:at], b'data: {"id": "chatcmpl-mock", "choices": [\n\n', *events[at:]], tail(asked))


def _error_event(asked: Asked, found: re.Match[str]) -> Answer:
    if not asked.stream:
        return status(500)
    failure = b"data: %s\n\n" % shapes.error("The server had an error.", "server_error", None)
    return _stream(asked, _contents(asked, int(found[1])), [failure])


def _usage_none(asked: Asked, found: re.Match[str]) -> Answer:
    if asked.stream:
        return _stream(asked, _contents(asked), tail(asked, counted=False))
    return plain(asked, counted=False)


def _usage_null(asked: Asked, found: re.Match[str]) -> Answer:
    if not asked.stream:
        return plain(asked)
    contents, model = _contents(asked, usage=None), asked.model
    finish = shapes.event(model, {}, "stop", usage=None)
    return _stream(asked, contents, [finish, shapes.usage_event(model, shapes.usage(asked.chunks)), shapes.DONE])


def _no_done(asked: Asked, found: re.Match[str]) -> Answer:
    return _stream(asked, _contents(asked), tail(asked, done=False)) if asked.stream else plain(asked)


def _no_finish(asked: Asked, found: re.Match[str]) -> Answer:
    return _stream(asked, _contents(asked), []) if asked.stream else plain(asked)


def _sliced(asked: Asked, found: re.Match[str]) -> Answer:
    return replace(fine(asked), slice=int(found[1]))


def _crlf(asked: Asked, found: re.Match[str]) -> Answer:
    whole = fine(asked)
    if whole.chunks is None:
        return whole
    chunks = [piece.replace(b"\n", b"\r\n") if isinstance(piece, bytes) else piece for piece in whole.chunks]
    return replace(whole, chunks=chunks)


def _tool_call(asked: Asked, found: re.Match[str]) -> Answer:
    if asked.stream:
        return _stream(asked, shapes.tool_events(asked.model), tail(asked, finish="tool_calls"))
    return plain(asked, message=shapes.tool_message(), finish="tool_calls")


def _status(asked: Asked, found: re.Match[str]) -> Answer:
    return status(int(found[1]))


def _always(answer: Answer) -> Maker:
    def make(asked: Asked, found: re.Match[str]) -> Answer:
        return answer

    return make


def _html(asked: Asked, found: re.Match[str]) -> Answer:
    return Answer(headers={"content-type": "text/html"}, body=b"<html><body><h1>Welcome!</h1></body></html>")


def _redirect(asked: Asked, found: re.Match[str]) -> Answer:
    return Answer(status=307, headers={"location": "/sink"}, body=b"")


def _rule(pattern: str, make: Maker) -> tuple[re.Pattern[str], Maker]:
    return re.compile(pattern), make


THEN_OK = re.compile(r"(\d{3})x(\d+)-then-ok")

FAULTS: list[tuple[re.Pattern[str], Maker]] = [
    _rule(r"cut-(\d+)", _broken("cut")),
    _rule(r"rst-(\d+)", _broken("reset")),
    _rule(r"stall-(\d+)", _broken("hang")),
    _rule(r"stall-(\d+)-(\d+)(ms|s)", _pausing),
    _rule(r"drop", _always(Answer(raw=True, then="cut"))),
    _rule(r"silent", _always(Answer(raw=True, then="hang"))),
    _rule(r"slow", _slow),
    _rule(r"paced-(\d+)x(\d+)ms", _paced),
    _rule(r"status-(\d{3})", _status),
    _rule(r"bad-json-(\d+)", _bad_json),
    _rule(r"error-event-(\d+)", _error_event),
    _rule(r"usage-none", _usage_none),
    _rule(r"usage-null-each", _usage_null),
    _rule(r"no-done", _no_done),
    _rule(r"no-finish", _no_finish),
    _rule(r"slice-(\d+)", _sliced),
    _rule(r"crlf", _crlf),
    _rule(r"tool-call", _tool_call),
    _rule(r"html-200", _html),
    _rule(r"empty-200", _always(Answer(body=b""))),
    _rule(r"redirect", _redirect),
]
