"""A database that lends to one gateway, played by the test."""

import asyncio
from typing import Any

from accounts.budgets.limits import Limit, table
from accounts.budgets.purse import Ask, Purse, Slice, slice_of
from accounts.prices import Price
from tests.proxy.harness import ASK

# The prompt costs nothing and a token of the answer 0.1 USD, so a call allowed three tokens costs 0.30 exactly.
PRICE = Price(1, "", "", "*", 0.0, {"input": 0, "output": 100_000_000 * 1_000_000})
USD = 1_000_000_000
CALL = ASK | {"max_tokens": 3}
COST = 3 * USD // 10
NOW = 1_800_000_000.0  # in January 2027


class Database:
    """Grants what is left of one budget; `down` makes it answer nothing, `deaf` not even that."""

    def __init__(self, purse: Purse, limit: Limit) -> None:
        self.purse, self.limit, self.down, self.deaf, self.asked = purse, limit, False, False, 0
        self.elsewhere = 0
        purse.wake, purse.elapsed = self.wake, lambda: NOW
        purse.table = table([limit])

    def wake(self) -> None:
        if not self.deaf:
            asyncio.get_running_loop().call_soon(self.answer)

    def answer(self) -> None:
        asks = [self.purse.asks.popleft() for _ in range(len(self.purse.asks))]
        for account in dict.fromkeys(ask.account for ask in asks):
            self.asked += 1
            wanted = sum(ask.amount_nano for ask in asks if ask.account is account)
            grant = Slice(account, away=True) if self.down else self.granted(account, wanted)
            self.purse.take([grant], NOW)
            self.tell(asks, grant)

    def tell(self, asks: list[Ask], grant: Slice) -> None:
        for ask in asks:
            if ask.account is grant.account and ask.waiter is not None and not ask.waiter.done():
                ask.waiter.set_result(grant)

    def granted(self, account: Any, wanted: int) -> Slice:
        left = self.limit.amount_nano - account.granted
        keeps = slice_of(left - wanted, wanted)
        added = max(0, min(left, wanted + keeps))
        return Slice(account, added, max(0, left - added), keeps, self.elsewhere)
