"""Money as whole nano-USD (1e-9 USD), to and from the decimal text that people read. No float comes near it."""

import re
from decimal import Decimal

NANO_PER_USD = 1_000_000_000
LARGEST = 2**63 - 1
DECIMAL = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?(e-?[0-9]{1,2})?", re.IGNORECASE)


class NotMoney(ValueError):
    """The text is not an amount in USD that whole nano-USD can hold."""


def nano(text: str, *, signed: bool = False) -> int:
    """Read USD, such as `0.15` or `1e-7`, as nano-USD (for a price in USD per million units: nano-USD per million).

    Raises NotMoney for anything else than a plain decimal, for parts of a nano, and for a minus unless `signed`.
    """
    text = text.strip()
    if not DECIMAL.fullmatch(text):
        raise NotMoney(f"{text[:40]!r} is not an amount in USD, such as 0.15")
    amount = Decimal(text) * NANO_PER_USD
    if amount != amount.to_integral_value():
        raise NotMoney(f"{text} has parts of a nano-USD (more than nine decimal places)")
    if abs(amount) > LARGEST:
        raise NotMoney(f"{text} is too large")
    if amount < 0 and not signed:
        raise NotMoney(f"{text} is below zero")
    return int(amount)


def usd(amount: int, *, places: int = 9) -> str:
    """Write nano-USD as decimal USD; exact with nine places, with fewer rounded half-even."""
    if places >= 9:
        whole, part = divmod(abs(amount), NANO_PER_USD)
        return f"{'-' if amount < 0 else ''}{whole}.{part:09d}"
    return f"{Decimal(amount).scaleb(-9):.{places}f}"
