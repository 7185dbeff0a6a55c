"""The command line of the scripted provider."""

import argparse
import asyncio
import re
import signal
from pathlib import Path

import uvloop

from loadtest.upstream.server import MockServer


def seconds(text: str) -> float:
    """A duration such as `50ms`, `1.5s` or `0`, in seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s)?", text)
    if not found or (not found[2] and float(found[1])):
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 50ms or 1.5s")
    return float(found[1]) / (1000 if found[2] == "ms" else 1)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.mockserver", description="An OpenAI-shaped mock server.")
    parser.add_argument("--port", type=int, default=9999, help="0 takes a free one and prints it")
    parser.add_argument("--latency", type=seconds, default=0.0, help="such as 50ms: once, or before each chunk")
    parser.add_argument("--chunks", type=int, default=3, help="content chunks of a streamed answer")
    parser.add_argument("--journal", type=Path, help="append a JSON line for each hit")
    asked = parser.parse_args()
    mock = MockServer(port=asked.port, latency=asked.latency, chunks=asked.chunks, journal=asked.journal, record=False)
    uvloop.run(_serve(mock))


async def _serve(mock: MockServer) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, over.set)
    async with mock:
        print(f"mock server on {mock.base_url}", flush=True)
        await over.wait()
