"""What one room has to ask another, answered here, since the rooms do not know each other."""

import time
from collections.abc import Callable

from accounts.store.prices import load_book


def priced() -> Callable[[str, str, str], bool]:
    """Return how to ask whether a provider, its kind and an upstream model have a price today."""
    book, now = load_book(), time.time()
    return lambda provider, kind, model: book.find(provider, kind, model, now) is not None
