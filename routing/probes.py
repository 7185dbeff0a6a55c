"""Which process tries a half-open target: one of all. The loop asks, the housekeeper answers through the table."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

WAIT_SECONDS = 0.5  # for the answer; a few milliseconds as a rule


@dataclass(frozen=True, slots=True)
class Ask:
    """May this process try `target`, whose breaker has opened `opened` times in a row?"""

    target: str
    opened: int
    loop: asyncio.AbstractEventLoop
    waiter: asyncio.Future[bool]

    def answer(self, yes: bool) -> None:
        """From any thread."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._answered, yes)

    def _answered(self, yes: bool) -> None:
        if not self.waiter.done():
            self.waiter.set_result(yes)


@dataclass(slots=True)
class Probes:
    """`wake` tells whoever answers that there are questions; without one this process is the only one."""

    wake: Callable[[], None] | None = None
    asks: deque[Ask] = field(default_factory=deque)  # taken by the housekeeper

    async def ours(self, target: str, opened: int) -> bool:
        """Say whether the call that asks may try the target. Without an answer each process goes by what it sees."""
        if self.wake is None:
            return True
        loop = asyncio.get_running_loop()
        ask = Ask(target, opened, loop, loop.create_future())
        self.asks.append(ask)
        self.wake()
        done, _ = await asyncio.wait([ask.waiter], timeout=WAIT_SECONDS)
        return ask.waiter.result() if done else True

    def taken(self) -> list[Ask]:
        """Take the questions that wait."""
        return [self.asks.popleft() for _ in range(len(self.asks))]
