from qlite_site.server.deadlines import Deadlines


def test_it_calls_those_who_are_late_in_order_and_once() -> None:
    late: list[str] = []
    deadlines: Deadlines[str] = Deadlines(10, late.append)
    for second, name in enumerate("abcd"):
        deadlines.start(name, second)
    deadlines.check(9.9)
    assert late == []
    deadlines.check(11)
    assert late == ["a", "b"]
    deadlines.check(11)
    assert late == ["a", "b"] and len(deadlines) == 2


def test_it_gives_the_full_time_again_to_whoever_is_started_again() -> None:
    late: list[str] = []
    deadlines: Deadlines[str] = Deadlines(10, late.append)
    deadlines.start("a", 0)
    deadlines.start("b", 1)
    deadlines.start("a", 5)
    deadlines.check(14)
    assert late == ["b"]


def test_it_leaves_out_those_who_were_stopped() -> None:
    late: list[str] = []
    deadlines: Deadlines[str] = Deadlines(10, late.append)
    deadlines.start("a", 0)
    deadlines.stop("a")
    deadlines.stop("never started")
    deadlines.check(100)
    assert late == []


def test_it_lets_a_late_one_start_again() -> None:
    late: list[str] = []
    deadlines: Deadlines[str] = Deadlines(10, lambda name: (late.append(name), deadlines.start(name, 100))[0])
    deadlines.start("a", 0)
    deadlines.check(50)
    deadlines.check(105)
    deadlines.check(110)
    assert late == ["a", "a"]
