"""Whether keys, teams or prices have changed: asked each second, so it looks at the newest rows only."""

from typing import Any

from django.db.models import QuerySet

from accounts.models import ApiKey, Price, Team

# Transactions may commit in another order than their times say. A late one is noticed while it is among this many.
NEWEST = 32
WATCHED: tuple[tuple[QuerySet[Any], str], ...] = (
    (Team.objects.all(), "updated_at"),
    (ApiKey.objects.all(), "updated_at"),
    (Price.objects.all(), "id"),
)
Mark = tuple[tuple[int, tuple[Any, ...]], ...]


def changed_since() -> Mark:
    """Return a value that differs from the last one when a key, a team or a price was added, changed or deleted.

    `QuerySet.update` is noticed only where it sets `updated_at`.
    """
    return tuple(
        (rows.count(), tuple(rows.order_by(f"-{column}").values_list(column, flat=True)[:NEWEST]))
        for rows, column in WATCHED
    )
