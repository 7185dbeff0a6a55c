"""What was spent in a budget's window as the ledger has it: the daily totals, adjustments included, in nano-USD."""

from collections.abc import Sequence
from datetime import date

from django.db.backends.utils import CursorWrapper

from accounts.budgets.limits import Limit
from accounts.budgets.windows import Window
from accounts.models import DailyTotal

FEW = 3  # budgets; more of them, alike, are read together
TABLE = DailyTotal._meta.db_table


def spent(cursor: CursorWrapper, limit: Limit, window: Window) -> int:
    """Return the sum over the window's days of what the limit covers."""
    conditions: list[tuple[str, date | str | None]] = [("day >= %s", window.first), ("day < %s", window.after)]
    conditions += [("team = %s", limit.team), ("key_id = %s", limit.key_id), ("route = %s", limit.route)]
    given = [(text, value) for text, value in conditions if value]
    where = " AND ".join(text for text, _ in given)
    cursor.execute(
        f"SELECT COALESCE(SUM(cost_nano + adjusted_nano), 0) FROM {TABLE} WHERE {where}",  # noqa: S608  our own texts
        [value for _, value in given],
    )
    return int(cursor.fetchone()[0])


def spent_of(cursor: CursorWrapper, asked: Sequence[tuple[Limit, Window]]) -> list[int]:
    """Return the same for many: those on the same dimensions in the same window with one statement."""
    alike: dict[tuple[Window, tuple[str, ...]], int] = {}
    for limit, window in asked:
        kind = (window, _dimensions(limit))
        alike[kind] = alike.get(kind, 0) + 1
    read = {kind: _by_dimensions(cursor, *kind) for kind, count in alike.items() if count > FEW}
    found = []
    for limit, window in asked:
        names = _dimensions(limit)
        sums = read.get((window, names))
        values = tuple(getattr(limit, name) for name in names)
        found.append(spent(cursor, limit, window) if sums is None else sums.get(values, 0))
    return found


def _dimensions(limit: Limit) -> tuple[str, ...]:
    return tuple(name for name in ("team", "key_id", "route") if getattr(limit, name))


def _by_dimensions(cursor: CursorWrapper, window: Window, names: tuple[str, ...]) -> dict[tuple[str, ...], int]:
    columns = ", ".join(names)
    before = " AND day < %s" if window.after else ""
    cursor.execute(
        f"SELECT {columns}, SUM(cost_nano + adjusted_nano) FROM {TABLE} WHERE day >= %s{before} "  # noqa: S608
        f"GROUP BY {columns}",
        [window.first, window.after] if window.after else [window.first],
    )
    return {tuple(row[:-1]): int(row[-1]) for row in cursor.fetchall()}
