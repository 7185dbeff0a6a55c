"""The table that a run ends in, as Markdown: figures, their range over the rounds, and what was promised."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from loadtest import stats
from loadtest.bench.run import (
    AGAIN,
    B_PLAIN,
    B_TWENTY,
    HIT,
    HIT_STREAM,
    ONE,
    PLAIN,
    STANDARD,
    STRESS,
    T_ONE,
    T_PLAIN,
    T_TWENTY,
    TWENTY,
    Figures,
)
from loadtest.drive import Pairs
from loadtest.stats import Spread, percentile

COLUMNS = ("qlite", "control", "nginx")
HEADINGS = ("", *COLUMNS, "qlite / control", "must", "aim")


@dataclass(frozen=True, slots=True)
class Promise:
    """What the design asks for: at most so much, in the unit of the row or as a ratio to the control."""

    must: float
    aim: float | None = None
    ratio: bool = False


PROMISES = {
    PLAIN: Promise(2.0, 1.3, ratio=True),
    TWENTY: Promise(2.0, 1.45, ratio=True),
    HIT: Promise(400),
    HIT_STREAM: Promise(400),
    "standard P50": Promise(1),
    "standard P99": Promise(3),
    "stress P99": Promise(10, 6),
    "longest stall": Promise(10),
    "memory after load, MB": Promise(120, 90),
    "start to first answer, s": Promise(2.5),
}
Line = tuple[str, ...]


def table(figures: Figures, single: dict[str, float]) -> str:
    """The whole table; `single` holds what was measured once, by row: seconds of start-up, megabytes."""
    lines: list[Line] = [HEADINGS, ("---", *["--:"] * (len(HEADINGS) - 1))]
    lines += _section("CPU time of the gateway, us an answer")
    lines += [_cpu_line(figures, row) for row in (PLAIN, ONE, TWENTY)]
    lines += [_chunk_line(figures)]
    lines += [_cpu_line(figures, row) for row in (T_PLAIN, T_ONE, T_TWENTY)]
    lines += [_translated_chunk_line(figures)]
    lines += [_cpu_line(figures, row) for row in (B_PLAIN, B_TWENTY)]
    lines += [_cpu_line(figures, row) for row in (HIT, HIT_STREAM)]
    lines += [_cpu_line(figures, row, f"stream, {row}") for row in (STANDARD, STRESS)]
    lines += _section("Added latency of paired streams at 20 users, ms")
    for name, short in ((STANDARD, "standard"), (STRESS, "stress")):
        lines += list(_latency_lines(figures, name, short))
    lines += _section("Silence in a closed loop of 20, ms")
    lines += list(_stall_lines(figures))
    lines += _section("Start and memory")
    lines += [_single_line(row, value) for row, value in single.items()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def resolution(figures: Figures) -> list[str]:
    """The A/A lines: the control against itself, and the direct way against itself."""
    found = []
    for row in (PLAIN, TWENTY):
        ratio = stats.spread(_divide(figures.cpu[row, AGAIN], figures.cpu[row, "control"]))
        found.append(f"A/A, CPU, {row}: control again / control = {_text(ratio, 3)}")
    for name in (STANDARD, STRESS):
        pairs = figures.pairs[name, "direct"]
        p50, p99 = (_text(_pooled(pairs, lambda one: one.added, at), 2) for at in (50, 99))
        found.append(f"A/A, latency, {name}: direct - direct P50 {p50} ms, P99 {p99} ms")
    if "direct" in figures.stalls:
        longest = max(figures.stalls["direct"], default=0.0) * 1000
        found.append(f"A/A, silence, plain answer: without anything in between at most {longest:.1f} ms")
    return found


def budgets(figures: Figures) -> list[str]:
    """What a budget adds to the CPU time of a call: at most a tenth."""
    found = []
    for row, on in ((PLAIN, B_PLAIN), (TWENTY, B_TWENTY)):
        if figures.cpu[on, "qlite"]:
            ratio = stats.spread(_divide(figures.cpu[on, "qlite"], figures.cpu[row, "qlite"]))
            found.append(f"CPU, {row}: budget on / off = {_text(ratio, 3)} (must 1.10)")
    return found


def samples(figures: Figures) -> str:
    """How many pairs stand behind the gateway's percentiles."""
    counts = [
        f"{sum(len(pairs.added) for pairs in figures.pairs[name, 'qlite'])} {short}"
        for name, short in ((STANDARD, "standard"), (STRESS, "stress"))
    ]
    return "pairs through qlite: " + ", ".join(counts)


def _section(title: str) -> list[Line]:
    return [(f"**{title}**", *[""] * (len(HEADINGS) - 1))]


def _cpu_line(figures: Figures, row: str, label: str = "") -> Line:
    values = {column: figures.cpu[row, column] for column in COLUMNS}
    return _line(label or row, {column: stats.spread(values[column]) for column in COLUMNS}, _ratio(values), 0)


def _chunk_line(figures: Figures) -> Line:
    values = {
        column: [
            stats.per_chunk(twenty, one)
            for twenty, one in zip(figures.cpu[TWENTY, column], figures.cpu[ONE, column], strict=True)
        ]
        for column in COLUMNS
    }
    return _line("one more chunk", {column: stats.spread(values[column]) for column in COLUMNS}, _ratio(values), 1)


def _translated_chunk_line(figures: Figures) -> Line:
    pairs = zip(figures.cpu[T_TWENTY, "qlite"], figures.cpu[T_ONE, "qlite"], strict=True)
    spread = stats.spread([stats.per_chunk(twenty, one) for twenty, one in pairs])
    return _line("one more translated chunk", {"qlite": spread}, None, 1)


def _latency_lines(figures: Figures, name: str, short: str) -> Iterable[Line]:
    rows: list[tuple[str, Callable[[Pairs], list[float]], float]] = [
        ("P50", lambda pairs: pairs.added, 50),
        ("P99", lambda pairs: pairs.added, 99),
        ("first byte P50", lambda pairs: pairs.added_first, 50),
        ("first byte P99", lambda pairs: pairs.added_first, 99),
    ]
    for label, pick, percent in rows:
        spreads = {column: _pooled(figures.pairs[name, column], pick, percent) for column in COLUMNS}
        yield _line(f"{short} {label}", spreads, None, 2)


def _stall_lines(figures: Figures) -> Iterable[Line]:
    longest = {column: stats.spread([stalls[0] * 1000 if stalls else 0.0]) for column, stalls in figures.stalls.items()}
    yield _line("longest stall", longest, None, 1)
    counts = {name: stats.spread([sum(stall > 0.01 for stall in stalls)]) for name, stalls in figures.stalls.items()}
    yield _line("stalls over 10 ms", counts, None, 0)


def _single_line(row: str, value: float) -> Line:
    return _line(row, {"qlite": stats.spread([value])}, None, 2 if value < 10 else 0)


def _line(label: str, spreads: dict[str, Spread], ratio: Spread | None, digits: int) -> Line:
    nothing = stats.spread([])
    cells = [_text(spreads.get(column, nothing), digits) for column in COLUMNS]
    return (label, *cells, _text(ratio or nothing, 2), *_promised(label, spreads.get("qlite", nothing), ratio))


def _promised(label: str, spread: Spread, ratio: Spread | None) -> tuple[str, str]:
    promise = PROMISES.get(label)
    if promise is None:
        return "", ""
    value = ratio.mean if promise.ratio and ratio else spread.mean
    return _against(value, promise.must, promise.ratio), _against(value, promise.aim, promise.ratio)


def _against(value: float, limit: float | None, ratio: bool) -> str:
    if limit is None:
        return ""
    met = "" if math.isnan(value) else ", yes" if value <= limit else ", **no**"
    return f"{limit:g}{'x' if ratio else ''}{met}"


def _pooled(rounds: Sequence[Pairs], pick: Callable[[Pairs], list[float]], percent: float) -> Spread:
    """The percentile in ms of all rounds together, with the range of what each round alone would have given."""
    each = stats.spread([percentile(pick(pairs), percent) * 1000 for pairs in rounds])
    together = percentile([value for pairs in rounds for value in pick(pairs)], percent) * 1000
    return Spread(together, each.low, each.high, each.rounds)


def _ratio(values: dict[str, list[float]]) -> Spread:
    return stats.spread(_divide(values["qlite"], values["control"]))


def _divide(above: Sequence[float], below: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(above, below, strict=False) if other]


def _text(spread: Spread, digits: int) -> str:
    if not spread.rounds:
        return ""
    text = f"{spread.mean:.{digits}f}"
    return text if spread.rounds == 1 else f"{text} ({spread.low:.{digits}f} to {spread.high:.{digits}f})"
