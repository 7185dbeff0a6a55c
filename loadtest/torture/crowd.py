"""The callers: they ask all the time, each question with a nonce of its own, and remember what they were told."""

import asyncio
import itertools
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from loadtest.client.caller import Answered, Broken, Caller
from loadtest.client.request import CHAT

PATIENCE_SECONDS = 60.0
WHILE_IT_IS_DOWN = 0.03

# Routes by how often they are asked for, and whether as a stream (None: now so, now so). See TABLE in run.py.
MIX: tuple[tuple[str, int, bool | None], ...] = (
    ("paced-1x0ms", 6, False),
    ("paced-2x300ms", 3, False),
    ("paced-3x20ms", 6, True),
    ("paced-10x50ms", 4, True),
    ("paced-40x50ms", 3, True),
    ("usage-none", 2, None),
    ("second-chance", 3, None),
    ("twice", 3, None),
    ("cut-2", 1, True),
    ("drop", 1, None),
    ("status-500", 1, None),
)
# Of these only what is answered well, sooner or later.
GOOD = tuple(each for each in MIX if each[0] not in {"cut-2", "drop", "status-500"})
_COST = re.compile(rb": x-request-cost=([0-9.]+|unpriced)\n\ndata: \[DONE\]\n\n")
_HEADER = re.compile(rb"\r\n(x-qlite-id|x-request-cost): ([^\r]+)")


@dataclass(frozen=True, slots=True)
class Told:
    """A whole answer. `cost` as it was told: decimal US dollars, `unpriced`, or nothing.

    `complete` is false for a stream that ended in an error event. `id` is empty where the connection broke right behind
    the end of a stream.
    """

    nonce: str
    id: str
    status: int
    complete: bool
    cost: str


@dataclass(slots=True)
class Crowd:
    """`users` callers at one port, who ask for what is in `mix`.

    `broken` counts answers that never came whole, `refused` connections that nobody took.
    """

    port: int
    key: str
    users: int
    seed: int
    mix: Sequence[tuple[str, int, bool | None]] = MIX
    told: list[Told] = field(default_factory=list)
    asked: int = 0
    broken: int = 0
    refused: int = 0
    late: int = 0
    over: bool = False
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def run(self) -> None:
        """Ask until `over`; each user waits for the answer to its last question."""
        await asyncio.gather(*(self._user(random.Random(f"{self.seed}-{user}")) for user in range(self.users)))

    async def _user(self, choice: random.Random) -> None:
        caller: Caller | None = None
        while not self.over:
            try:
                caller = caller or await Caller.connect(self.port)
            except OSError:
                self.refused += 1
                await asyncio.sleep(WHILE_IT_IS_DOWN)
                continue
            if not await self._ask(caller, choice):
                caller.close()
                caller = None
        if caller is not None:
            caller.close()

    async def _ask(self, caller: Caller, choice: random.Random) -> bool:
        """Ask once; whether the connection can be used again."""
        [(model, _, stream)] = choice.choices(self.mix, [weight for _, weight, _ in self.mix])
        streamed = choice.random() < 0.5 if stream is None else stream
        nonce = f"nonce-{self.seed:x}x{next(self._numbers):x}"
        self.asked += 1
        try:
            answered = await asyncio.wait_for(caller.ask(self._request(nonce, model, streamed)), PATIENCE_SECONDS)
        except Broken as broken:
            self._lost(nonce, broken.body)
            return False
        except TimeoutError:
            self.late += 1
            return False
        self.told.append(told(nonce, answered))
        return True

    def _lost(self, nonce: str, body: bytes) -> None:
        end = _COST.search(body)
        if end is None:
            self.broken += 1
        else:  # everything was said; only the end of the body, or of the connection, is missing
            self.told.append(Told(nonce, "", 200, True, end[1].decode()))

    def _request(self, nonce: str, model: str, stream: bool) -> bytes:
        messages = [{"role": "user", "content": f"Say hello to everybody. {nonce}"}]
        body = orjson.dumps({"model": model, "messages": messages, "stream": stream})
        head = (
            f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: Bearer {self.key}\r\n"
            f"Content-Type: application/json\r\nX-Request-Id: {nonce}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def told(nonce: str, answered: Answered) -> Told:
    """What an answer told its caller."""
    headers = {name.decode(): value.decode() for name, value in _HEADER.findall(answered.head)}
    cost, complete = headers.get("x-request-cost", ""), True
    if b"\r\ncontent-type: text/event-stream" in answered.head:
        end = _COST.search(answered.body)
        cost, complete = (end[1].decode(), True) if end else ("", False)
    return Told(nonce, headers.get("x-qlite-id", ""), answered.status, complete, cost)
