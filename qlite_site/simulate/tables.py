"""The two tables that are looked at, the serving one and the draft, and what is known of targets and prices."""

import time

from accounts.prices import Book, Usage
from accounts.store.prices import load_book
from proxy.outlook import Outlook
from qlite_site.simulate.replay import Price
from routing import store
from routing.document import Document, empty
from routing.health import Health
from routing.snapshot import Snapshot, compile
from routing.store.breakers import known
from routing.values import Target


def serving_document() -> Document:
    revision = store.latest()
    return revision.document if revision else empty()


def draft_document() -> Document:
    """Return the rows as a document. Raises RoutingRefused where they cannot be published."""
    return store.draft()


def serving() -> Snapshot:
    """Return what serves, without credentials: nobody is called."""
    revision = store.latest()
    return compile(serving_document(), {}, revision.number if revision else 0)


def draft() -> Snapshot:
    """Return the rows as they would serve if they were published. Raises RoutingRefused where they cannot be."""
    return compile(draft_document(), {}, 0)


def outlook(*, breakers: bool = True) -> Outlook:
    """Return today's prices and, with `breakers`, which targets are in trouble now, as the processes have told."""
    health = Health()
    if breakers:
        health.orders.extend(known())
    return Outlook(health, load_book(), time.time())


def price_by(book: Book, now: float) -> Price:
    """Return what prices an answer's usage at a target."""

    def price(target: Target, usage: Usage) -> int | None:
        provider = target.provider
        free = provider.free or provider.kind == "stub"
        charge = book.charge(provider.name, provider.kind, target.model, usage, at=now, free=free)
        return None if charge.status == "unpriced" else charge.cost_nano

    return price
