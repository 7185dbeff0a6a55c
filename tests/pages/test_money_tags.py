import pytest
from django.utils.html import strip_tags

from accounts.templatetags.money import budget, change, dollars, milliseconds, percent, width


@pytest.mark.parametrize(
    ("nano", "text", "bright"),
    [
        (0, "$0.000000000", "$0.00"),
        (1, "$0.000000001", "$0.000000001"),
        (450_000, "$0.000450000", "$0.000450"),
        (70_191_000, "$0.070191000", "$0.0701"),
        (1_234_567_890_123, "$1,234.567890123", "$1,234.56"),
        (-5_000_000_001, "-$5.000000001", "-$5.00"),
        (2**63 - 1, "$9,223,372,036.854775807", "$9,223,372,036.85"),
    ],
)
def test_it_shows_every_digit_and_mutes_those_that_hardly_matter(nano: int, text: str, bright: str) -> None:
    shown = dollars(nano)
    assert strip_tags(shown) == text
    assert strip_tags(shown.split('<span class="tail">')[0]) == bright


def test_it_shows_a_change_with_its_sign() -> None:
    assert strip_tags(change(5)) == "+$0.000000005"
    assert strip_tags(change(-5)) == "-$0.000000005"
    assert change(0) == dollars(None) == "—"


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (None, "none"),
        (250 * 10**9, "$250"),
        (50_000_000, "$0.05"),
        (1_500_500_000_000, "$1,500.50"),
        (1, "$0.000000001"),
    ],
)
def test_it_shows_a_budget_as_short_as_it_can_be_exact(nano: int | None, text: str) -> None:
    assert budget(nano) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "0%"), (0, 5, "0%"), (5, 5, "100%"), (1, 3, "33.3%"), (1, 10**6, "<0.1%"), (10**6 - 1, 10**6, ">99.9%")],
)
def test_it_does_not_round_a_share_to_all_or_nothing(part: int, whole: int, text: str) -> None:
    assert percent(part, whole) == text


def test_it_keeps_bars_within_their_frame() -> None:
    assert [width(part, 100) for part in (-5, 0, 50, 250)] == ["0.00", "0.00", "50.00", "100.00"]
    assert width(1, 0) == "0"


def test_it_shows_times_in_milliseconds() -> None:
    assert [milliseconds(each) for each in (None, 360, 1_234_567)] == ["—", "0.4 ms", "1,235 ms"]
