"""Callers who leave at any point: before the request is whole, before the answer, in mid-word, at the end."""

import asyncio
import itertools
import random
import re
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import Any

import orjson

PROMPT = "Count until I leave."
PLAIN, SHORT, ENDLESS, MUTE = "paced-plain", "paced-short", "paced-endless", "paced-mute"
MODELS = (PLAIN, SHORT, ENDLESS, MUTE)
LONGEST_STAY = 0.4  # seconds
MOST_BYTES = 4000
_RESET = struct.pack("ii", 1, 0)
_END = b"\r\n0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Surface:
    """Where a caller asks, how, and what each word of a streamed answer shows itself by."""

    path: str
    stream_path: str
    word: re.Pattern[bytes]

    def request(self, nonce: str, model: str, *, stream: bool, port: int, key: str) -> bytes:
        path = (self.stream_path if stream else self.path).format(model=model)
        body = orjson.dumps(self._body(f"{PROMPT} {nonce}", model, stream=stream))
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nX-Request-Id: {nonce}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def _body(self, text: str, model: str, *, stream: bool) -> dict[str, Any]:
        if "models" in self.path:
            return {"contents": [{"role": "user", "parts": [{"text": text}]}]}
        asked: dict[str, Any] = {"model": model}
        if "responses" in self.path:
            asked["input"] = text
        else:
            asked["messages"] = [{"role": "user", "content": text}]
        if self.path == self.stream_path:
            asked["stream"] = stream
        return asked | ({"max_tokens": 500} if "messages" in self.path else {})


_CHUNK = re.compile(rb'"delta":\{[^}]*"content":" word"')
_CHAT = "/v1/chat/completions"
_GEMINI = "/v1beta/models/{model}:"
SURFACES = [
    Surface(_CHAT, _CHAT, _CHUNK),
    Surface("/proxy", "/proxy/stream", _CHUNK),
    Surface("/v1/messages", "/v1/messages", re.compile(rb'"type":"text_delta","text":" word"')),
    Surface("/v1/responses", "/v1/responses", re.compile(rb'"delta":" word"')),
    Surface(f"{_GEMINI}generateContent", f"{_GEMINI}streamGenerateContent?alt=sse", re.compile(rb'"text":" word"')),
]


@dataclass(frozen=True, slots=True)
class Left:
    """Somebody who left: when (monotonic seconds), with how many words, and whether everything had come."""

    nonce: str
    model: str
    stream: bool
    at: float
    words: int
    whole: bool


@dataclass(slots=True)
class Leavers:
    """`users` at a time ask until `count` have left."""

    port: int
    key: str
    count: int
    users: int
    seed: int
    left: list[Left] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def run(self) -> None:
        await asyncio.gather(*(self._user(random.Random(f"{self.seed}-{user}")) for user in range(self.users)))

    async def _user(self, chance: random.Random) -> None:
        while (number := next(self._numbers)) < self.count:
            self.left.append(await self._ask(chance, f"nonce-{self.seed:x}x{number:x}"))

    async def _ask(self, chance: random.Random, nonce: str) -> Left:
        surface, stream = chance.choice(SURFACES), chance.random() < 0.85
        model = chance.choices([SHORT, ENDLESS, MUTE], [4, 12, 1])[0] if stream else PLAIN
        request = surface.request(nonce, model, stream=stream, port=self.port, key=self.key)
        if chance.random() < 0.03:  # the request itself is not whole
            request = request[: chance.randrange(len(request))]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        body = await _read(reader, *_patience(chance))
        if chance.random() < 0.5:
            sock: socket.socket = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        at = time.monotonic()
        writer.transport.abort()
        head, _, answer = body.partition(b"\r\n\r\n")
        whole = answer.endswith(_END) if b"\r\ntransfer-encoding: chunked" in head.lower() else bool(answer)
        return Left(nonce, model, stream, at, len(surface.word.findall(answer)), whole)


def _patience(chance: random.Random) -> tuple[float, int]:
    """Return how many seconds a caller stays, and how many bytes he reads at most."""
    if chance.random() < 0.1:
        return 0.0, 0
    return chance.uniform(0, LONGEST_STAY), chance.randrange(1, MOST_BYTES)


async def _read(reader: asyncio.StreamReader, seconds: float, at_most: int) -> bytes:
    body, until = b"", time.monotonic() + seconds
    while len(body) < at_most and (rest := until - time.monotonic()) > 0:
        try:
            part = await asyncio.wait_for(reader.read(at_most - len(body)), rest)
        except (TimeoutError, ConnectionError):
            break
        if not part:
            break
        body += part
        if body.endswith(_END):
            break
    return body
