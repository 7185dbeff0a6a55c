"""Which limits a call counts on."""

from zoneinfo import ZoneInfo

import pytest

from accounts.budgets.limits import REMEMBERED, Limit, table

TEAM = Limit(1, 100, "month", team="red")
KEY = Limit(2, 100, "day", key_id="k1")
ROUTE = Limit(3, 100, "week", route="gpt")
PAIR = Limit(4, 100, "total", team="red", route="gpt")


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (("red", "k1", "gpt"), (TEAM, KEY, ROUTE, PAIR)),
        (("red", "k2", "o3"), (TEAM,)),
        (("blue", "k2", "gpt"), (ROUTE,)),
        (("blue", "k2", "o3"), ()),
    ],
)
def test_a_call_counts_on_every_limit_that_covers_it(call: tuple[str, str, str], expected: tuple[Limit, ...]) -> None:
    limits = table([PAIR, ROUTE, KEY, TEAM])
    assert limits is not None
    assert limits.of(*call) == expected
    assert limits.of(*call) == expected  # as remembered


def test_it_forgets_lookups_before_they_fill_the_memory() -> None:
    limits = table([TEAM])
    assert limits is not None
    for number in range(REMEMBERED + 10):
        limits.of("red", "k1", f"model-{number}")
    assert len(limits._found) <= REMEMBERED


def test_no_limits_are_no_table() -> None:
    assert table([]) is None


def test_its_scope_names_nobody() -> None:
    assert [each.scope for each in (TEAM, KEY, ROUTE, PAIR)] == ["team", "key", "route", "team+route"]


def test_its_windows_follow_its_clock() -> None:
    tokyo = Limit(1, 1, "day", team="red", zone=ZoneInfo("Asia/Tokyo"))
    assert tokyo.window_at(0.0).starts_at == -9 * 3600
