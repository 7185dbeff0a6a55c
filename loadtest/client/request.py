"""Requests as ready bytes, each with a nonce of its own or all alike."""

import secrets
from dataclasses import dataclass, field

import orjson

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
_MARK = "0" * 16
_PROMPT = f"Say hello to everybody who reads the ledger at the end of the month. nonce-{_MARK}"
_SYSTEM = "You are a helpful assistant of a company that pays for every token and likes short answers."


@dataclass(frozen=True, slots=True)
class Where:
    """A server on loopback that is called with a key; `name` is what tables call it."""

    name: str
    port: int
    key: str = "none"


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked. `unique` prompts are never answered from a cache, the same prompt again is.

    With `messages` it is asked in Anthropic's dialect, which an OpenAI provider's answer has to be translated for.
    """

    model: str
    stream: bool = False
    unique: bool = True
    include_usage: bool = False
    messages: bool = False


@dataclass(slots=True)
class Requests:
    """An endless supply of request bytes for one Ask at one place."""

    where: Where
    ask: Ask
    _before: bytes = b""
    _after: bytes = b""
    # Random, so that no two runs against one gateway ask the same.
    _next: int = field(default_factory=lambda: secrets.randbits(60))

    def __post_init__(self) -> None:
        body = _body(self.ask)
        path = MESSAGES if self.ask.messages else CHAT
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.where.port}\r\nAuthorization: Bearer {self.where.key}\r\n"
            f"Content-Type: application/json\r\nAccept: */*\r\nUser-Agent: qlite-drive\r\nContent-Length: {len(body)}"
        )
        self._before, self._after = (head.encode() + b"\r\n\r\n" + body).split(_MARK.encode())

    def take(self) -> bytes:
        """The next request."""
        if self.ask.unique:
            self._next += 1
        return b"%s%016x%s" % (self._before, self._next % (1 << 64), self._after)


def _body(ask: Ask) -> bytes:
    system, user = {"role": "system", "content": _SYSTEM}, {"role": "user", "content": _PROMPT}
    body = {"model": ask.model, "messages": [system, user], "temperature": 0.7, "max_tokens": 256}
    if ask.messages:
        body |= {"messages": [user], "system": _SYSTEM}
    if ask.stream:
        body["stream"] = True
    if ask.include_usage:
        body["stream_options"] = {"include_usage": True}
    return orjson.dumps(body)
