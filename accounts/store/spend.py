"""What was spent in a budget's window as the ledger has it: the daily totals, adjustments included, in nano-USD."""

from datetime import date

from django.db.backends.utils import CursorWrapper

from accounts.budgets.limits import Limit
from accounts.budgets.windows import Window
from accounts.models import DailyTotal

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
