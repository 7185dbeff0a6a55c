import pytest

from accounts.money import NotMoney, nano, usd


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0.15", 150_000_000),
        (" 2.50 ", 2_500_000_000),
        ("1e-7", 100),
        ("0.000000001", 1),
        ("0.1000000000", 100_000_000),
        ("0", 0),
        ("9000000000", 9 * 10**18),
    ],
)
def test_it_reads_decimal_text_exactly(text: str, amount: int) -> None:
    assert nano(text) == amount


@pytest.mark.parametrize(
    "text",
    ["", "1,5", "NaN", "inf", "0x10", "1_000", "-1", "0.0000000001", "1e400", "99999999999", "٣", "1.2.3", "$1", "1e"],
)
def test_it_refuses_what_is_no_whole_amount(text: str) -> None:
    with pytest.raises(NotMoney):
        nano(text)


def test_it_takes_a_minus_only_where_one_may_stand() -> None:
    assert nano("-0.5", signed=True) == -500_000_000


def test_it_writes_nine_places() -> None:
    assert usd(123_000) == "0.000123000"
    assert usd(-1) == "-0.000000001"
    assert usd(12_345_678_901_234_567) == "12345678.901234567"
    assert usd(2_500_000, places=2) == "0.00"
    assert nano(usd(987_654_321)) == 987_654_321
