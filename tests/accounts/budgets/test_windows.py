"""Calendar windows on the organisation's clock, over changes of the clock too."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.budgets.windows import KINDS, NEVER, window_at

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")]


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_is_as_long_as_the_clock_makes_it(day: str, hours: int) -> None:
    window = window_at("day", at(f"{day}T12:00"), BERLIN)
    assert window.first == date.fromisoformat(day)
    assert window.ends_at - window.starts_at == hours * 3600


def test_a_week_begins_on_monday_and_a_month_on_the_first() -> None:
    moment = at("2028-02-29T23:59:59")  # a Tuesday
    week, month = window_at("week", moment, BERLIN), window_at("month", moment, BERLIN)
    assert (week.first, week.after) == (date(2028, 2, 28), date(2028, 3, 6))
    assert (month.first, month.after) == (date(2028, 2, 1), date(2028, 3, 1))


def test_all_time_has_no_end() -> None:
    window = window_at("total", 0.0, BERLIN)
    assert window.after is None
    assert window.ends_at == NEVER
    assert window.holds(-1e12)


@given(st.integers(100_000, 4_000_000_000), st.sampled_from(KINDS), st.sampled_from(ZONES))
def test_each_moment_is_in_one_window_whose_days_are_those_of_the_ledger(
    moment: int, kind: str, zone: ZoneInfo
) -> None:
    window = window_at(kind, moment, zone)
    assert window.holds(moment)
    day = datetime.fromtimestamp(moment, zone).date()
    assert window.first <= day
    if window.after is not None:
        assert day < window.after
        following = window_at(kind, window.ends_at, zone)
        assert (following.starts_at, following.first) == (window.ends_at, window.after)
        assert window_at(kind, window.ends_at - 1, zone) == window
        assert timedelta(days=1) <= window.after - window.first <= timedelta(days=31)
