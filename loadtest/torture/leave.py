"""One run of leavers: a furnished gateway, a provider that counts its words, and callers who do not stay."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from loadtest.bench.machine import Cores
from loadtest.bench.rig import Home, free_port, rig, wait_for
from loadtest.mockserver import Answer, MockServer
from loadtest.torture.leavers import MODELS, MUTE, PLAIN, SHORT, Leavers
from loadtest.torture.leaving import PLAIN_WORDS, PROMPT_TOKENS, SHORT_WORDS, Leaving, Sent, judge_leaving
from loadtest.torture.run import Say, come_to_rest, furnish, verdict
from loadtest.upstream.answer import Plan
from loadtest.upstream.hit import Hit
from loadtest.upstream.parse import Request

GAP = 0.02  # seconds between words
PATIENCE = 10.0
_WORD = b'data: {"id":"x","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'
_FINISH = b'data: {"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
_USED = b'"usage":{"prompt_tokens":%d,"completion_tokens":%d}'
_DONE = b"data: [DONE]\n\n"


@dataclass(slots=True)
class Run:
    """What a run gave."""

    leavers: Leavers
    leaving: Leaving = field(default_factory=Leaving)
    verdicts: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        return not self.leaving.violations and all("is sound" in each for each in self.verdicts)


class Counting(MockServer):
    """A provider that remembers when each of its answers was over."""

    def __init__(self) -> None:
        super().__init__(record=False, nonces=True)
        self.sent: dict[str, list[Sent]] = {}
        self.running: dict[int, Hit] = {}
        self.script("*", answer)

    def receive(self, request: Request) -> tuple[Hit, Plan]:
        hit, plan = super().receive(request)
        self.running[hit.number] = hit
        return hit, plan

    def ended(self, hit: Hit) -> None:
        if self.running.pop(hit.number, None) is None:
            return
        super().ended(hit)
        words = (
            PLAIN_WORDS if hit.model == PLAIN else min(hit.chunks, SHORT_WORDS if hit.model == SHORT else hit.chunks)
        )
        self.sent.setdefault(hit.nonce, []).append(Sent(words, hit.peer_closed, time.monotonic()))


def answer(hit: Hit) -> Answer:
    """Say words at a steady pace: eight of them, without end, or none at all."""
    if hit.model == PLAIN:
        choice = b'{"choices":[{"index":0,"message":{"content":" word word word"},"finish_reason":"stop"}],'
        return Answer(body=choice + _USED % (PROMPT_TOKENS, PLAIN_WORDS) + b"}", delay=0.05)
    if hit.model == MUTE:
        return Answer(chunks=[b""], then="hang")
    return Answer(chunks=_words(SHORT_WORDS if hit.model == SHORT else 1_000_000))


def _words(count: int) -> Iterator[bytes | float]:
    for _ in range(count):
        yield _WORD
        yield GAP
    yield _FINISH + b'data: {"id":"x","choices":[],' + _USED % (PROMPT_TOKENS, count) + b"}\n\n" + _DONE


async def leave(folder: Path, *, count: int, users: int, seed: int, say: Say = lambda line: None) -> Run:
    """Let `count` callers leave at random points, let all come to rest, and compare the accounts."""
    started = time.perf_counter()
    home = Home(folder / "data", free_port())
    home.folder.mkdir(parents=True)
    with rig(folder, Cores(None, None)) as made:
        async with Counting() as mock:
            key = await asyncio.to_thread(furnish, home, mock.port, MODELS)
            server = made.gateway(home, key)
            await asyncio.to_thread(wait_for, server, "/readyz")
            run = Run(Leavers(home.port, key, count, users, seed))
            asking = asyncio.create_task(run.leavers.run())
            while not asking.done():
                await asyncio.wait([asking], timeout=1.0)
                say(f"{len(run.leavers.left)} have left")
            await asking
            with suppress(TimeoutError):
                await mock.idle(PATIENCE)
            for hit in list(mock.running.values()):
                mock.ended(hit)  # nobody closed it: late it is
            await asyncio.to_thread(come_to_rest, home)
            run.verdicts.append(await asyncio.to_thread(verdict, home))
            if code := await asyncio.to_thread(server.stop):
                run.verdicts.append(f"the stop ended with exit code {code}")
        rows = map(orjson.loads, home.run("ledger", "export", "--format", "jsonl").splitlines())
        run.leaving = judge_leaving(run.leavers.left, mock.sent, rows)
    run.seconds = time.perf_counter() - started
    return run
