"""The process dies at each step of a request; whoever comes after it finds everything (INV-1 to INV-12, K-2, D-13)."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loadtest.bench.rig import ROOT, Server, wait_for
from loadtest.client.request import Where
from tests.gateway.conftest import Furnished
from tests.gateway.dying import DIED
from tests.gateway.stand import INPUT_NANO, OUTPUT_NANO, House, Stand
from tests.invariants import broken
from tests.server.client import Client, until

# The step, and what the ledger must say afterwards: no row, or its status; whether the provider was called.
PLAIN = {
    "before-journal-open": ("", False),
    "after-journal-open": ("interrupted", False),
    "before-upstream-open": ("interrupted", False),
    "after-upstream-open": ("interrupted", True),
    "before-upstream-read": ("interrupted", True),
    "after-upstream-read": ("interrupted", True),
    "before-journal-settle": ("interrupted", True),
    "after-journal-settle": ("settled", True),
    "after-journal-ready": ("settled", True),
    "before-table-requestrecord": ("settled", True),
    "after-table-requestrecord": ("settled", True),
    "after-table-attemptrecord": ("settled", True),
    "after-table-dailytotal": ("settled", True),
    "before-journal-forget": ("settled", True),
    "after-journal-forget": ("settled", True),
}
STREAMED = {
    "after-journal-open": ("interrupted", False),
    "after-upstream-open": ("interrupted", True),
    "1-stream": ("interrupted", True),
    "2-stream": ("interrupted", True),
    "before-journal-settle": ("interrupted", True),
    "after-journal-settle": ("settled", True),
    "before-journal-forget": ("settled", True),
}
MODEL = "mock/paced-4x10ms"
COST = 12 * INPUT_NANO + 4 * OUTPUT_NANO
RECOVERY_SECONDS = 10.0


def start(home: House, step: str, log: Path) -> subprocess.Popen[bytes]:
    """A gateway that will die at that step."""
    with log.open("ab") as out:
        command = [sys.executable, "-m", "tests.gateway.dying", step]
        process = subprocess.Popen(command, cwd=ROOT, env=home.environment, stdout=out, stderr=out)
    try:
        wait_for(Server(Where("qlite", home.port), process, time.perf_counter()), "/readyz")
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process


def asked(home: House, key: str, *, stream: bool) -> bytes:
    """What a caller gets of one answer, whole or not."""
    body = {"model": MODEL, "stream": stream, "messages": [{"role": "user", "content": "Hello"}]}
    lines = [f"authorization: Bearer {key}", "content-type: application/json"]
    with Client(home.port) as client:
        client.ask("POST", "/v1/chat/completions", *lines, body=json.dumps(body).encode())
        try:
            return client.rest()
        except ConnectionResetError:
            return client.unread


@pytest.mark.parametrize(("step", "stream"), [*((step, False) for step in PLAIN), *((step, True) for step in STREAMED)])
def test_nothing_is_lost_wherever_the_process_dies(
    furnished: Furnished, tmp_path: Path, step: str, stream: bool
) -> None:
    made, keys, mock = furnished
    home = made.moved(tmp_path / "data")
    status, called = (STREAMED if stream else PLAIN)[step]
    process = start(home, step, tmp_path / "dying.log")
    try:
        got = asked(home, keys["good"], stream=stream)
        assert process.wait(10) == DIED
    finally:
        process.kill()
    assert bool(mock.hits) == called
    stand, restarted = Stand(home, keys, mock), time.monotonic()
    try:
        rows = until(stand.rows, bool) if status else stand.rows()
        assert time.monotonic() - restarted < RECOVERY_SECONDS
        assert [row["status"] for row in rows] == ([status] if status else [])
        whole = b"[DONE]" in got if stream else b'"usage"' in got
        assert status == "settled" or not whole  # INV-11
        if status == "settled":
            assert rows[0]["cost_nano"] == COST
        elif status:
            assert (rows[0]["usage_source"], rows[0]["error"]) == ("estimated", "process_died")
            assert rows[0]["cost_nano"] > 0
        assert stand.stop() == 0
        assert "The ledger is sound" in stand.verify()
        assert broken(stand.export()) == []
        assert not any((home.folder / "journal").iterdir())
    finally:
        stand.kill()
        shutil.rmtree(home.folder, ignore_errors=True)
