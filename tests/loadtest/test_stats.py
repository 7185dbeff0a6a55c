"""The figures of the benchmark: percentiles, ranges, ratios and the table they end in."""

import math
import os
import socket

import pytest

from loadtest import procfs
from loadtest.bench import report
from loadtest.bench.machine import Cores, Neighbours
from loadtest.bench.run import HIT, ONE, PLAIN, STANDARD, TWENTY, Figures
from loadtest.drive import Pairs
from loadtest.stats import per_chunk, percentile, spread
from loadtest.upstream.cli import seconds


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_it_takes_the_nearest_rank(percent: float, value: float) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == value


def test_it_says_nothing_about_nothing() -> None:
    assert math.isnan(percentile([], 50))
    assert spread([math.nan]).rounds == 0


def test_it_gives_the_mean_of_the_rounds_and_their_range() -> None:
    got = spread([3.0, 1.0, math.nan, 2.0])
    assert (got.mean, got.low, got.high, got.rounds) == (2.0, 1.0, 3.0, 3)


def test_it_divides_what_nineteen_more_chunks_cost() -> None:
    assert per_chunk(540.0, 350.0) == 10.0


def test_it_prints_ratios_ranges_and_promises() -> None:
    figures = Figures()
    for row, qlite, control in ((PLAIN, [600, 660], [300, 300]), (ONE, [610, 610], [300, 300]), (HIT, [390], [])):
        figures.cpu[row, "qlite"], figures.cpu[row, "control"] = list(qlite), list(control)
    figures.cpu[TWENTY, "qlite"], figures.cpu[TWENTY, "control"] = [800, 800], [490, 490]
    figures.pairs[STANDARD, "qlite"] = [Pairs(added=[0.001, 0.002]), Pairs(added=[0.003, 0.004])]
    figures.stalls = {"qlite": [0.0122, 0.004], "control": []}
    figures.stalls["direct"] = [0.0061, 0.003]
    assert report.resolution(figures)[-1].endswith("at most 6.1 ms")
    lines = report.table(figures, {"memory after load, MB": 95.0}).splitlines()
    assert (
        "| plain answer | 630 (600 to 660) | 300 (300 to 300) |  | 2.10 (2.00 to 2.20) | 2x, **no** | 1.3x, **no** |"
        in lines
    )
    assert "| one more chunk | 10.0 (10.0 to 10.0) | 10.0 (10.0 to 10.0) |  | 1.00 (1.00 to 1.00) |  |  |" in lines
    assert "| cache hit, plain | 390 |  |  |  | 400, yes |  |" in lines
    assert "| standard P50 | 2.00 (1.00 to 3.00) |  |  |  | 1, **no** |  |" in lines
    assert "| longest stall | 12.2 | 0.0 |  |  | 10, **no** |  |" in lines
    assert "| memory after load, MB | 95 |  |  |  | 120, yes | 90, **no** |" in lines


def test_it_knows_its_own_processes_and_what_they_used() -> None:
    me = os.getpid()
    assert procfs.tree(me)[0] == me
    assert procfs.cpu_seconds([me]) > 0
    assert procfs.cpu_seconds([2**31 - 1]) == 0
    held = procfs.memory([me])
    assert held.resident > 1_000_000 and held.own > 1_000_000


def test_it_has_nothing_to_say_about_neighbours_when_nothing_is_pinned() -> None:
    alone = Neighbours(Cores(None, None))
    alone.start()
    assert alone.stop(1.0) is False
    assert "shared what there is" in alone.sentence()


@pytest.mark.parametrize(("text", "value"), [("50ms", 0.05), ("1.5s", 1.5), ("0", 0.0)])
def test_it_reads_durations(text: str, value: float) -> None:
    assert seconds(text) == value


def test_it_refuses_a_number_without_its_unit() -> None:
    with pytest.raises(Exception, match="is not a duration"):
        seconds("50")


def test_it_counts_who_is_connected_to_a_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert procfs.talking(os.getpid(), port) == 0
        with socket.create_connection(("127.0.0.1", port)), listening.accept()[0]:
            assert procfs.talking(os.getpid(), port) == 1
            assert procfs.talking(os.getppid(), port) == 0
    assert procfs.talking(2**31 - 1, port) == 0
