"""Money at admission: an upper estimate is reserved on every budget that a call counts on, or the call is refused.

Far from the limit that is a comparison in memory. Where this process's slice does not hold the amount, the housekeeper
asks the database for more, and the call waits for the answer.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from accounts.budgets.limits import Limit
from accounts.budgets.purse import Account, Purse, Reservation, Shortage, Slice
from accounts.budgets.windows import NEVER
from proxy import estimate
from proxy.call import Call
from proxy.errors import BudgetUnavailable, Over, OverBudget
from proxy.gateway import Gateway
from routing.values import Target

WAIT_SECONDS = 1.0  # for the database's answer; a few milliseconds as a rule
PAUSE_SECONDS = 0.05  # before it is asked again, where other processes are about to give back


async def reserve(gateway: Gateway, call: Call, targets: list[Target]) -> list[Target]:
    """Reserve what the call may cost and return the targets it may go to: those with a price.

    Where no hard budget covers it, all of them. Raises OverBudget, ModelUnpriced, or BudgetUnavailable.
    """
    purse, entry, held = gateway.purse, call.entry, call.reservation
    table = purse.table
    limits = table.of(entry.team, entry.key_id, entry.route) if table is not None else ()
    if not limits or held is not None:
        return targets
    targets, amount = estimate.most(gateway.book, call, targets, entry.at)
    if amount:
        found = purse.reserve(limits, amount, entry.at)
        if isinstance(found, Shortage):
            found = await _asked(purse, limits, amount, entry.at)
        call.reservation, entry.reserved_nano, entry.leases = found, amount, found.leases
    return targets


def go_on(gateway: Gateway, call: Call, spent_nano: int, last_nano: int) -> None:
    """Reserve more for a session that has cost so much already. Raises OverBudget where there is no more.

    `last_nano` is what its last response cost. What was said is heard again with each, so the next may cost more.
    """
    if call.reservation is None:
        return
    wanted = spent_nano + max(estimate.SESSION_NANO, 2 * last_nano)
    lacking = gateway.purse.grow(call.reservation, wanted)
    if lacking is not None and lacking.lacks(wanted - call.reservation.amount_nano, gateway.purse.elapsed()):
        raise OverBudget(_over(lacking, wanted - call.reservation.amount_nano))


async def _asked(purse: Purse, limits: Sequence[Limit], amount: int, at: float) -> Reservation:
    """Ask the database for what is missing, as often as others may give something back."""
    loop = asyncio.get_running_loop()
    purse.loop, deadline = loop, loop.time() + WAIT_SECONDS
    while isinstance(found := purse.reserve(limits, amount, at), Shortage):
        now, late = purse.elapsed(), loop.time() >= deadline
        for account in found.accounts:
            if account.lacks(amount, now) or (late and account.looked_at >= now - WAIT_SECONDS):
                raise OverBudget(_over(account, amount))
        if late or await _away(purse, found, deadline):
            raise BudgetUnavailable(AWAY)
        if any(account.free < amount and account.elsewhere for account in found.accounts):
            await asyncio.sleep(PAUSE_SECONDS)
    return found


AWAY = "What is left of a budget cannot be asked for right now, and what was at hand is used up."


async def _away(purse: Purse, short: Shortage, deadline: float) -> bool:
    """Ask for what is short of, and wait. Say whether the database gave no answer."""
    loop = asyncio.get_running_loop()
    waiters: list[asyncio.Future[Slice]] = [loop.create_future() for _ in short.accounts]
    for account, waiter in zip(short.accounts, waiters, strict=True):
        purse.ask(account, short.amount_nano, waiter)
    done, _ = await asyncio.wait(waiters, timeout=max(0.0, deadline - loop.time()))
    return len(done) < len(waiters) or any(waiter.result().away for waiter in waiters)


def _over(account: Account, amount: int) -> Over:
    limit, ends = account.limit, account.window.ends_at
    shared = not limit.team and not limit.key_id  # then what is left says what others have spent
    return Over(
        scope=limit.scope,
        window=limit.window,
        limit_nano=limit.amount_nano,
        left_nano=None if shared else max(0, account.free + max(0, account.left)),
        needed_nano=amount,
        resets_at=None if ends == NEVER else datetime.fromtimestamp(ends, limit.zone),
    )
