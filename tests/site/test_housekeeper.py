"""The housekeeper's rounds: what has more to do goes on in the next one, and lets the others in between."""

from qlite_site.housekeeper import Chore, Housekeeper


def test_long_work_goes_on_round_by_round_and_others_come_in_between() -> None:
    done: list[str] = []

    def long() -> bool:
        done.append("long")
        return done.count("long") < 3

    keeper = Housekeeper([Chore("long", long, every=60.0), Chore("short", lambda: done.append("short"), every=0.0)])
    for _ in range(5):
        keeper.round()
    assert done == ["long", "short", "long", "short", "long", "short", "short", "short"]


def test_a_count_that_a_chore_returns_is_no_wish_for_more() -> None:
    done: list[int] = []
    keeper = Housekeeper([Chore("counts", lambda: done.append(1) or 1, every=60.0)])  # type: ignore[func-returns-value]
    for _ in range(3):
        keeper.round()
    assert done == [1]
