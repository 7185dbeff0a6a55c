"""One run of the benchmark: rounds in which every server meets every measurement, in fresh random order."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from loadtest.bench.cells import Bench
from loadtest.bench.rig import Server
from loadtest.client.request import Ask
from loadtest.drive import Pairs

PLAIN, ONE, TWENTY = "plain answer", "stream of 1 chunk", "stream of 20 chunks"
CPU_CELLS = {
    PLAIN: Ask("paced-20x0ms"),
    ONE: Ask("paced-1x0ms", stream=True),
    TWENTY: Ask("paced-20x0ms", stream=True),
}
# Asked in Anthropic's dialect of a provider that speaks OpenAI's, so request and answer are translated.
T_PLAIN, T_ONE, T_TWENTY = (f"translated {name}" for name in (PLAIN, ONE, TWENTY))
TRANSLATED_CELLS = {
    name: replace(ask, messages=True) for name, ask in zip((T_PLAIN, T_ONE, T_TWENTY), CPU_CELLS.values(), strict=True)
}
HIT, HIT_STREAM = "cache hit, plain", "cache hit, stream"
HIT_CELLS = {
    HIT: Ask("paced-20x0ms", unique=False),
    HIT_STREAM: Ask("paced-20x0ms", stream=True, unique=False),
}
# The same as without, by a key whose team has a hard budget.
B_PLAIN, B_TWENTY = f"{PLAIN}, budget on", f"{TWENTY}, budget on"
BUDGET_CELLS = {B_PLAIN: CPU_CELLS[PLAIN], B_TWENTY: CPU_CELLS[TWENTY]}
STANDARD, STRESS = "standard (50 ms, 3 chunks)", "stress (5 ms, 20 chunks)"
SCENARIOS = {STANDARD: Ask("paced-3x50ms", stream=True), STRESS: Ask("paced-20x5ms", stream=True)}
MODELS = sorted({ask.model for cells in (CPU_CELLS, HIT_CELLS, SCENARIOS) for ask in cells.values()})
AGAIN = "control again"


@dataclass(frozen=True, slots=True)
class Plan:
    """How many rounds, and seconds for: a CPU cell, a scenario at the gateway, at the others, the stall watch.

    `repeats`: how many disturbed cells may be measured again; `starts`: how often the start-up is timed.
    """

    rounds: int
    cell: float
    scenario: float
    aside: float
    stalls: float
    repeats: int
    starts: int


FULL = Plan(rounds=4, cell=1.0, scenario=3.5, aside=1.2, stalls=6.0, repeats=8, starts=3)
QUICK = Plan(rounds=1, cell=0.7, scenario=1.5, aside=0.8, stalls=3.0, repeats=0, starts=1)


@dataclass(slots=True)
class Figures:
    """All that was measured. `cpu`: microseconds an answer by row and column, a value a round. `pairs`: by scenario
    and column, the pairs of each round. `stalls`: seconds, the longest first, by column.
    """

    cpu: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    pairs: dict[tuple[str, str], list[Pairs]] = field(default_factory=lambda: defaultdict(list))
    stalls: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Field:
    """The servers of a run; `gateway` and `nginx` may be missing. The mock stands for the direct way."""

    mock: Server
    control: Server
    nginx: Server | None
    gateway: Server | None
    budgeted: Server | None = None  # the gateway again, called with a key whose team has a budget

    @property
    def behind(self) -> Sequence[Server]:
        """All that stand before the mock."""
        return [server for server in (self.control, self.nginx, self.gateway) if server is not None]


async def measure(bench: Bench, servers: Field, plan: Plan) -> Figures:
    """Every round of the plan, then the stall watch."""
    figures = Figures()
    for number in range(plan.rounds):
        print(f"round {number + 1} of {plan.rounds}", flush=True)
        await _cpu_round(bench, servers, plan, figures)
        await _latency_round(bench, servers, plan, figures)
    for server in (servers.mock, servers.control, servers.gateway):
        if server is not None:
            figures.stalls[server.where.name] = await bench.stalls(server, CPU_CELLS[PLAIN], plan.stalls)
    return figures


async def _cpu_round(bench: Bench, servers: Field, plan: Plan, figures: Figures) -> None:
    cells = [(row, server.where.name, server, ask) for server in servers.behind for row, ask in CPU_CELLS.items()]
    cells += [(row, AGAIN, servers.control, ask) for row, ask in CPU_CELLS.items()]
    if servers.gateway is not None:
        own = HIT_CELLS | TRANSLATED_CELLS
        cells += [(row, servers.gateway.where.name, servers.gateway, ask) for row, ask in own.items()]
    if servers.budgeted is not None:
        cells += [(row, servers.budgeted.where.name, servers.budgeted, ask) for row, ask in BUDGET_CELLS.items()]
    for row, column, server, ask in random.sample(cells, len(cells)):
        figures.cpu[row, column].append(await bench.cpu(server, ask, plan.cell))


async def _latency_round(bench: Bench, servers: Field, plan: Plan, figures: Figures) -> None:
    # The mock against itself is the A/A line: what this rig cannot tell apart.
    cells = [(name, ask, server) for server in (servers.mock, *servers.behind) for name, ask in SCENARIOS.items()]
    for name, ask, server in random.sample(cells, len(cells)):
        seconds = plan.scenario if server is servers.gateway else plan.aside
        pairs, cpu = await bench.added(server, ask, seconds)
        figures.pairs[name, server.where.name].append(pairs)
        figures.cpu[name, server.where.name].append(cpu)
