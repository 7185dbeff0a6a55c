"""The load client: closed loops of N users, and pairs of the same request sent straight and through a gateway.

    python -m loadtest.drive --port 8080 --key sk-ql_... --model stub --users 20 --seconds 5 --stream --pid 4711

It shares one core with the mock server, so it is cheap: uvloop, requests made beforehand, no HTTP library. Every answer
is compared with what the mock itself says, byte for byte.
"""

import argparse
import asyncio
import gc
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvloop

from loadtest import procfs
from loadtest.client.caller import Answered, Broken, Caller
from loadtest.client.pulse import Pulse
from loadtest.client.request import Ask, Requests, Where
from loadtest.client.verdict import Verdict
from loadtest.stats import percentile

# Users who all think for the same time march in step and queue up behind each other; nobody's real users do.
LONGEST_PAUSE = 0.02
# What is measured in this time after the start is thrown away: connections are made, pools fill.
WARM_UP = 0.4


@dataclass(slots=True)
class Tally:
    """What a run gave: seconds of every good answer and until its first byte, the rest counted by what went wrong."""

    seconds: list[float] = field(default_factory=list)
    first_bytes: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    elapsed: float = 0.0

    def add(self, answered: Answered, verdict: Verdict | None) -> None:
        if answered.status != 200:
            self.errors[f"status {answered.status}"] += 1
        elif verdict is not None and verdict.judge(answered.body) == "wrong":
            self.errors["wrong body"] += 1
        else:
            self.seconds.append(answered.seconds)
            self.first_bytes.append(answered.first_byte)

    @property
    def answers(self) -> int:
        return len(self.seconds)


@dataclass(slots=True)
class Pairs:
    """Seconds that the way through the gateway took longer, for whole answers and for first bytes; both ways' times."""

    added: list[float] = field(default_factory=list)
    added_first: list[float] = field(default_factory=list)
    direct: list[float] = field(default_factory=list)
    proxied: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    asked: int = 0

    def add(self, direct: Answered, proxied: Answered) -> None:
        if direct.status != 200 or proxied.status != 200:
            self.errors[f"status {direct.status} and {proxied.status}"] += 1
            return
        self.added.append(proxied.seconds - direct.seconds)
        self.added_first.append(proxied.first_byte - direct.first_byte)
        self.direct.append(direct.seconds)
        self.proxied.append(proxied.seconds)


async def once(where: Where, ask: Ask) -> Answered:
    """One request on a connection of its own; raises OSError or Broken."""
    caller = await Caller.connect(where.port)
    try:
        return await caller.ask(Requests(where, ask).take())
    finally:
        caller.close()


async def closed_loop(
    requests: Requests, *, users: int, seconds: float, verdict: Verdict | None = None, pulse: Pulse | None = None
) -> Tally:
    """Each user asks again as soon as it is answered, until the time is over; broken connections are made anew."""
    tally, watch = Tally(), pulse or Pulse()
    callers = [await Caller.connect(requests.where.port, watch) for _ in range(users)]
    with _no_collector():
        started = time.perf_counter()
        watch.start()
        await asyncio.gather(*(_loop(caller, requests, started + seconds, tally, verdict) for caller in callers))
        watch.stop()
        tally.elapsed = time.perf_counter() - started
    return tally


async def _loop(caller: Caller, requests: Requests, until: float, tally: Tally, verdict: Verdict | None) -> None:
    while time.perf_counter() < until:
        try:
            tally.add(await caller.ask(requests.take()), verdict)
        except Broken:
            tally.errors["broken"] += 1
            caller = await caller.again()
    caller.close()


async def paired(direct: Requests, proxied: Requests, *, users: int, seconds: float) -> Pairs:
    """Each user sends the same question both ways at the same moment, waits for both answers, rests a little, repeats.

    So `users` requests are at the gateway at a time, and both ways meet the same disturbances.
    """
    pairs = Pairs()
    with _no_collector():
        counted_from = time.perf_counter() + WARM_UP
        await asyncio.gather(*(_pair_user((direct, proxied), counted_from, seconds, pairs) for _ in range(users)))
    return pairs


async def _pair_user(ways: tuple[Requests, Requests], counted_from: float, seconds: float, pairs: Pairs) -> None:
    await asyncio.sleep(random.uniform(0, WARM_UP / 2))
    callers = [await Caller.connect(way.where.port) for way in ways]
    while (now := time.perf_counter()) < counted_from + seconds:
        await asyncio.sleep(random.uniform(0, LONGEST_PAUSE))
        try:
            sent = {at: callers[at].ask(ways[at].take()) for at in random.sample((0, 1), 2)}
            pairs.asked += 1
            both = await sent[0], await sent[1]
            if now >= counted_from:
                pairs.add(*both)
        except Broken:
            pairs.errors["broken"] += 1
            return
    for caller in callers:
        caller.close()


@contextmanager
def _no_collector() -> Iterator[None]:
    """Our own garbage collector would show up as a stall of the server."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def main() -> None:
    """One closed loop against anything that speaks the OpenAI way, and its figures."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.drive", description="A closed loop of users.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", default="none")
    parser.add_argument("--model", default="stub")
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--same", action="store_true", help="the same prompt each time, for cache hits")
    parser.add_argument("--pid", type=int, help="the server's process: its CPU time and memory are shown too")
    asked = parser.parse_args()
    where, ask = Where("server", asked.port, asked.key), Ask(asked.model, asked.stream, unique=not asked.same)
    uvloop.run(_run(where, ask, asked.users, asked.seconds, asked.pid))


async def _run(where: Where, ask: Ask, users: int, seconds: float, pid: int | None) -> None:
    pids = procfs.tree(pid) if pid else []
    verdict, pulse = Verdict((await once(where, ask)).body), Pulse()
    before = procfs.cpu_seconds(pids)
    tally = await closed_loop(Requests(where, ask), users=users, seconds=seconds, verdict=verdict, pulse=pulse)
    used = procfs.cpu_seconds(pids) - before
    print(f"{tally.answers} answers in {tally.elapsed:.1f} s, {tally.answers / tally.elapsed:.0f}/s")
    for name, values in (("latency", tally.seconds), ("first byte", tally.first_bytes)):
        figures = ", ".join(f"P{at:g} {percentile(values, at) * 1000:.2f}" for at in (50, 90, 99, 100))
        print(f"{name} (ms): {figures}")
    print(f"bodies: {dict(verdict.counts)}; errors: {dict(tally.errors)}")
    print(f"longest stalls (ms): {[round(stall * 1000, 1) for stall in pulse.stalls()[:5]]}")
    if pids and tally.answers:
        held = procfs.memory(pids)
        print(f"CPU: {used / tally.answers * 1e6:.0f} us an answer; memory: {held.own / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
