"""Toy servers: one shared by the tests that leave it as it was, and one's own for the rest."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.server.client import Running


@pytest.fixture(scope="package")
def server() -> Iterator[Running]:
    """A server with the limits a test can afford to run into."""
    running = Running(max_request_bytes=2**20, header_seconds=0.4, body_seconds=0.6, abandon_seconds=0.3)
    yield running
    code = running.stop()
    log = running.log()
    running.kill()
    assert code == 0, log


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Start servers of one's own; they are killed after the test if it has not stopped them."""
    started: list[Running] = []

    def begin(**config: Any) -> Running:
        started.append(Running(**config))
        return started[-1]

    yield begin
    for running in started:
        running.kill()
