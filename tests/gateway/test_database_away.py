"""The main database held by another process: calls go on while the journal has room, then stop before they cost."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.gateway.conftest import Start
from tests.gateway.stand import COST, Got, Stand
from tests.server.client import until

HOLD = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
db.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
db.execute("ROLLBACK")
"""


@contextmanager
def held(stand: Stand) -> Iterator[None]:
    """Another process writes to the database and does not finish."""
    command = [sys.executable, "-c", HOLD, str(stand.home.folder / "qlite.sqlite3")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            process.stdin.close()


def ask_until(stand: Stand, status: int, limit: int) -> list[Got]:
    asked = []
    while not asked or asked[-1].status != status:
        assert len(asked) < limit
        asked.append(stand.call(body=stand.ask(stream=len(asked) % 2 == 1)))
    return asked


def test_calls_go_on_while_the_database_is_away(start: Start) -> None:
    stand = start()
    with held(stand):
        before = time.monotonic()
        asked = []
        while time.monotonic() - before < 3:
            asked.append(stand.call(body=stand.ask(stream=len(asked) % 2 == 1)))
            time.sleep(0.01)
        assert {got.status for got in asked} == {200}
        assert stand.rows("id = ?", asked[-1].id) == []
        assert stand.call("GET", "/readyz", key=None).status == 200
        waiting = stand.call("GET", "/health", key=None).json["journal"]["waiting"]
        assert waiting >= len(asked) - 1
        # Nothing is hidden meanwhile: the export reads what the journal holds.
        assert {row["id"] for row in stand.export()} == {got.id for got in asked}
    stand.row(asked[-1].id)
    rows = stand.rows()
    assert {row["id"] for row in rows} == {got.id for got in asked}
    assert {(row["status"], row["cost_nano"]) for row in rows} == {("settled", COST)}
    assert len(rows) == len(asked) == len(stand.mock.hits)
    assert stand.stop() == 0
    assert "The ledger is sound" in stand.verify()


def test_a_full_journal_refuses_before_it_costs_and_recovers_by_itself(start: Start) -> None:
    stand = start(QLITE_JOURNAL_BYTES="65536")
    cap = 65_536
    with held(stand):
        asked = ask_until(stand, 503, 200)
        answered, refused = asked[:-1], asked[-1]
        assert len(answered) > 10
        assert (refused.error["code"], refused.error["type"]) == ("ledger_unavailable", "server_error")
        assert (refused.headers["retry-after"], refused.headers["x-error-origin"]) == ("1", "gateway")
        hits = len(stand.mock.hits)
        assert hits == len(answered)
        for stream in (False, True):
            assert stand.call(body=stand.ask(stream=stream)).status == 503
        assert len(stand.mock.hits) == hits
        ready = stand.call("GET", "/readyz", key=None)
        assert (ready.status, ready.error["code"]) == (503, "not_ready")
        health = stand.call("GET", "/health", key=None).json
        assert (health["status"], health["journal"]["full"]) == ("degraded", True)
        assert stand.call("GET", "/healthz", key=None).status == 200
        # Whoever is turned away for another reason still hears that reason, not ours.
        assert stand.call(body=stand.ask(), key="sk-ql_wrong").status == 401
        assert stand.call("GET", "/v1/models").status == 200
        assert sum(path.stat().st_size for path in (stand.home.folder / "journal").iterdir()) <= cap + 8192
    until(lambda: stand.call(body=stand.ask()).status, lambda status: status == 200)
    until(lambda: stand.call("GET", "/readyz", key=None).status, lambda status: status == 200)
    for got in answered:
        assert stand.row(got.id)["cost_nano"] == COST
    assert stand.stop() == 0
    assert "The ledger is sound" in stand.verify()


def test_a_stream_that_began_before_the_journal_was_full_is_settled(start: Start) -> None:
    """What was opened has its room: settling never has to wait for the database."""
    stand = start(QLITE_JOURNAL_BYTES="65536")
    with held(stand):
        slow = stand.connect()
        stand.send(slow, body=stand.ask("mock/stall-1-1500ms", stream=True))
        status, headers = slow.head()
        assert (status, bool(slow.chunk())) == (200, True)
        ask_until(stand, 503, 200)
        assert slow.answer_rest().endswith(b"data: [DONE]\n\n")
        slow.socket.close()
        exported = {row["id"]: row for row in stand.export()}
        assert exported[dict(headers)["x-qlite-id"]]["status"] == "settled"
    assert stand.row(dict(headers)["x-qlite-id"])["cost_nano"] == COST
    assert stand.stop() == 0
    assert "The ledger is sound" in stand.verify()


def test_it_stops_and_starts_while_the_database_is_away_and_loses_nothing(start: Start) -> None:
    stand = start(QLITE_DRAIN_TIMEOUT="1")
    with held(stand):
        asked = [stand.call(body=stand.ask()) for _ in range(5)]
        stand.kill()
    stand.start()
    # It is ready before it has adopted what the killed process left behind.
    until(lambda: {row["id"] for row in stand.rows()}, lambda found: found == {got.id for got in asked})
    assert stand.stop() == 0
    assert not list((stand.home.folder / "journal").iterdir())


def test_the_journal_of_a_dead_process_is_in_the_export_before_anybody_adopts_it(start: Start) -> None:
    stand = start()
    with held(stand):
        got = stand.call(body=stand.ask())
        stand.kill()
    assert [(row["id"], row["status"], row["cost_nano"]) for row in stand.export()] == [(got.id, "settled", COST)]
    assert _plain(stand.home.folder / "qlite.sqlite3") == []
    assert "The ledger is sound" in stand.verify()


def _plain(path: Path) -> list[str]:
    db = sqlite3.connect(path)
    try:
        return [json.dumps(row) for row in db.execute("SELECT id FROM accounts_requestrecord")]
    finally:
        db.close()
