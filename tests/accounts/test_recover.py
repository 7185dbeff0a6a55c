import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from accounts.ledger.entry import Entry, from_json
from accounts.ledger.recover import interrupt, orphans, recover
from accounts.ledger.scan import scan
from accounts.prices import Book, Price
from tests.accounts.making import NOON, attempt, entry, journal, opened, settled, under_way

BOOK = Book([Price(7, "", "openai", "gpt-4o", 0.0, {"input": 1_000_000_000, "output": 4_000_000_000})])
ROOT = Path(__file__).parent.parent.parent

DIES = """
import sys
from pathlib import Path
from accounts.ledger.journal import Journal
from tests.accounts.making import NOON, attempt, opened, settled
kept = Journal(Path(sys.argv[1]), cap_bytes=8 << 20)
for number in range(200):
    row = opened(client_request_id=str(number))
    kept.open(row)
    if number % 2:
        row.attempts[0] = attempt()
        row.status, row.cost_nano = "settled", 4_500_000
        kept.settle(row)
    print(number, flush=True)
sys.stdin.read()
"""


def held(folder: Path) -> list[Entry]:
    (orphan,) = orphans(folder)
    with orphan.scan() as found:
        rows = [from_json(raw) for raw in recover(found, BOOK, alive_at=orphan.alive_at)]
        assert found.damaged == []
    orphan.release()
    return rows


def test_it_finds_every_row_of_a_process_that_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DIES, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "199\n":
            assert process.poll() is None
        assert list(orphans(tmp_path)) == []
        process.send_signal(signal.SIGKILL)
    rows = sorted(held(tmp_path), key=lambda row: int(row.client_request_id))
    assert len(rows) == 200
    assert [row.status for row in rows] == ["interrupted", "settled"] * 100
    assert {row.cost_nano for row in rows if row.status == "settled"} == {4_500_000}


def test_it_estimates_an_attempt_that_was_under_way() -> None:
    row = opened(prompt_bytes=4001)
    interrupt(row, BOOK, alive_at=NOON)
    (only,) = row.attempts
    assert (only.status, only.usage, only.usage_source) == ("interrupted", {"input": 1001}, "estimated")
    assert (only.price_id, only.cost_status, only.cost_nano) == (7, "priced", 1_001_000)
    assert (row.status, row.cost_nano, row.usage_source, row.error) == (
        "interrupted",
        1_001_000,
        "estimated",
        "process_died",
    )


def test_it_prefers_what_the_provider_had_said_already() -> None:
    row = entry(under_way(usage={"input": 10, "output": 5}, usage_source="provider"), status="open")
    interrupt(row, BOOK, alive_at=NOON)
    assert (row.usage, row.usage_source, row.cost_nano) == ({"input": 10, "output": 5}, "provider", 30_000)


@pytest.mark.parametrize(
    ("alive_at", "seconds"), [(NOON + 12.3, 13), (NOON + 0.1, 1), (NOON - 60, 1), (NOON + 10**9, 1800)]
)
def test_it_bills_the_request_and_its_time_where_those_have_a_price(alive_at: float, seconds: int) -> None:
    amounts = {"input": 1_000_000_000, "output": 4_000_000_000, "requests": 10**13, "seconds": 5 * 10**11}
    row = opened(prompt_bytes=400)
    interrupt(row, Book([Price(8, "openai", "", "*", 0.0, amounts)]), alive_at=alive_at)
    (only,) = row.attempts
    assert only.usage == row.usage == {"input": 100, "requests": 1, "seconds": seconds}
    assert (only.price_id, only.cost_status) == (8, "priced")
    assert only.cost_nano == row.cost_nano == 100_000 + 10_000_000 + seconds * 500_000


def test_it_knows_until_when_the_process_lived(tmp_path: Path) -> None:
    with journal(tmp_path) as kept:
        kept.open(opened())
        for path in tmp_path.iterdir():
            os.utime(path, (NOON, NOON))
        kept.sync()
        (sign,) = tmp_path.glob("*.lock")
        assert sign.stat().st_mtime > NOON
        os.utime(sign, (NOON + 5, NOON + 5))
    (orphan,) = orphans(tmp_path)
    assert orphan.alive_at == NOON + 5
    orphan.release()


def test_it_leaves_attempts_that_had_ended_as_they_were() -> None:
    failed = attempt(number=1, status="failed", usage=None, usage_source="none", cost_status="none", cost_nano=0)
    row = entry(failed, under_way(number=2, kind="groq"), status="open", prompt_bytes=8)
    interrupt(row, BOOK, alive_at=NOON)
    assert row.attempts[0] == failed
    assert (row.status, row.cost_status, row.cost_nano) == ("interrupted", "unpriced", 0)


@pytest.mark.parametrize(
    ("attempts", "status"),
    [
        ([], "failed"),
        ([attempt(status="failed", usage=None, cost_nano=0)], "failed"),
        ([attempt(status="interrupted", usage_source="estimated")], "interrupted"),
    ],
)
def test_it_fails_a_request_that_was_between_attempts(attempts: list[object], status: str) -> None:
    row = entry(*attempts, status="open")  # type: ignore[arg-type]
    interrupt(row, BOOK, alive_at=NOON)
    assert row.status == status


def test_it_charges_nothing_for_a_free_provider() -> None:
    row = entry(under_way(cost_status="free"), status="open", prompt_bytes=400)
    interrupt(row, BOOK, alive_at=NOON)
    assert (row.cost_status, row.cost_nano, row.usage) == ("free", 0, {"input": 100})


def test_it_lets_only_one_adopter_have_a_journal(tmp_path: Path) -> None:
    with journal(tmp_path) as kept:
        kept.settle(settled())
    first = list(orphans(tmp_path))
    assert len(first) == 1
    assert list(orphans(tmp_path)) == []
    first[0].remove()
    assert list(tmp_path.iterdir()) == []


def test_it_adopts_segments_whose_lock_file_is_gone(tmp_path: Path) -> None:
    with journal(tmp_path) as kept:
        kept.settle(settled())
    (tmp_path / f"{kept.name}.lock").unlink()
    assert len(held(tmp_path)) == 1


@pytest.mark.parametrize("cut", [1, 20, 400])
def test_it_passes_over_a_write_that_was_cut_short(tmp_path: Path, cut: int) -> None:
    first, second = settled(), settled()
    with journal(tmp_path) as kept:
        kept.settle(first)
        kept.settle(second)
        (path,) = tmp_path.glob("*.journal")
        data = path.read_bytes().rstrip(b"\0")
    path.write_bytes(data[:-cut] + bytes(300))
    assert [row.id for row in held(tmp_path)] == [first.id]


def test_it_sets_a_damaged_line_apart_and_reads_on(tmp_path: Path) -> None:
    rows = [settled() for _ in range(3)]
    with journal(tmp_path) as kept:
        for row in rows:
            kept.settle(row)
        (path,) = tmp_path.glob("*.journal")
        data = path.read_bytes()
    place = data.index(rows[1].id.encode()) + 100
    path.write_bytes(data[:place] + b"#" + data[place + 1 :])
    with scan(tmp_path, kept.name) as found:
        assert list(found.rows) == [rows[0].id, rows[2].id]
        assert len(found.damaged) == 1
