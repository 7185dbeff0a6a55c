"""One scripted provider and one furnished data folder for all; a running gateway for each module."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loadtest.bench.rig import free_port
from loadtest.mockserver import MockServer, in_thread
from tests.gateway.stand import House, Stand
from tests.invariants import broken

Furnished = tuple[House, dict[str, str], MockServer]
Start = Callable[..., Stand]


@pytest.fixture(scope="package")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    """A data folder that gateways are started on copies of, the keys in it, and the provider it leads to."""
    with in_thread() as mock:
        home = House(tmp_path_factory.mktemp("furnished") / "data", free_port())
        home.folder.mkdir()
        yield home, home.furnish_for_tests(mock.port), mock


@pytest.fixture(scope="module")
def stand(furnished: Furnished, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """The gateway of a module's tests. It stops in good order, and its ledger is sound then."""
    home, keys, mock = furnished
    stand = Stand(home.moved(tmp_path_factory.mktemp("gateway") / "data"), keys, mock)
    try:
        yield stand
        code = stand.stop()
        assert code == 0, stand.log.read_text()[-4000:]
        assert "The ledger is sound" in stand.verify()
        faults = broken(stand.export())
        assert not faults, faults
    finally:
        stand.kill()


@pytest.fixture
def start(furnished: Furnished, tmp_path: Path) -> Iterator[Start]:
    """Start a gateway of the test's own, with these options of `qlite serve` and these settings."""
    home, keys, mock = furnished
    started: list[Stand] = []

    def begin(*options: str, **settings: str) -> Stand:
        started.append(Stand(home.moved(tmp_path / f"data-{len(started)}", **settings), keys, mock, *options))
        return started[-1]

    yield begin
    for stand in started:
        stand.kill()
    faults = [fault for stand in started for fault in broken(stand.export(), at_rest=False)]
    assert not faults, faults


@pytest.fixture(autouse=True)
def forgotten(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test sees the hits and scripts of another."""
    yield
    if "furnished" not in request.fixturenames:
        return
    mock = request.getfixturevalue("furnished")[2]
    for model in list(mock._scripts):
        mock.script(model)
    mock.hits.clear()
