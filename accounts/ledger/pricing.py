"""What an attempt is charged with: the price in force when it began, nothing where it was opened as free."""

from collections.abc import Callable

from accounts.ledger.entry import Attempt
from accounts.prices import Book, Charge, Usage

Pricing = Callable[[Attempt, Usage], Charge]


def put(book: Book, attempt: Attempt, usage: Usage) -> None:
    """Put usage and cost on the attempt."""
    usage = _whole(book, attempt, usage)
    attempt.usage = usage.as_dict()
    attempt.service_tier = usage.service_tier or attempt.service_tier
    attempt.charged(_charge(book, attempt, usage))


def pricing(book: Book) -> Pricing:
    """Return what says the charge of an attempt that used so much, and leaves it as it is."""
    return lambda attempt, usage: _charge(book, attempt, _whole(book, attempt, usage))


def _whole(book: Book, attempt: Attempt, usage: Usage) -> Usage:
    """Return the usage with the request and the time that it took, where those have a price."""
    if not book.beside:
        return usage
    price = book.find(attempt.provider, attempt.kind, attempt.model, attempt.started_at)
    return usage if price is None else price.whole(usage, attempt.latency_us or 0)


def _charge(book: Book, attempt: Attempt, usage: Usage) -> Charge:
    return book.charge(
        attempt.provider,
        attempt.kind,
        attempt.model,
        usage,
        at=attempt.started_at,
        free=attempt.cost_status == "free",
        service_tier=attempt.service_tier,
    )
