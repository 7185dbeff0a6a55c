import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from accounts.ledger.entry import from_json
from accounts.ledger.journal import Journal, JournalUnavailable
from accounts.ledger.recover import orphans
from accounts.ledger.scan import names, scan
from tests.accounts.making import MIB, cached, journal, opened, settled

SMALL = 64 * 1024  # segments of 8 KiB


def on_disk(folder: Path) -> dict[str, bool]:
    """Ids that a crash now would leave, and whether they are settled."""
    found: dict[str, bool] = {}
    for name in names(folder):
        with scan(folder, name) as held:
            assert held.damaged == []
            found |= {id: line.settled for id, line in held.rows.items()}
    return found


def test_it_has_written_a_row_when_the_call_returns(tmp_path: Path) -> None:
    with journal(tmp_path) as kept:
        one, two = opened(), opened()
        kept.open(one)
        kept.open(two)
        assert on_disk(tmp_path) == {one.id: False, two.id: False}
        one.status = "settled"
        kept.settle(one)
        assert on_disk(tmp_path) == {one.id: True, two.id: False}
        assert (kept.backlog(), kept.in_flight()) == (1, 1)
        assert [from_json(raw) for _, raw in kept.ready(10)] == [one]


def test_it_hands_out_settled_rows_in_order_until_they_are_forgotten(tmp_path: Path) -> None:
    with journal(tmp_path) as kept:
        rows = [settled() for _ in range(5)]
        for row in rows:
            kept.settle(row)
        assert [id for id, _ in kept.ready(3)] == [row.id for row in rows[:3]]
        kept.forget([row.id for row in rows[:3]])
        kept.forget([row.id for row in rows[:3]])
        assert [id for id, _ in kept.ready(10)] == [row.id for row in rows[3:]]
        assert kept.backlog() == 2


def test_it_never_changes_a_settled_row(tmp_path: Path) -> None:
    with journal(tmp_path) as kept:
        row = settled(cost_nano=5)
        kept.settle(row)
        row.cost_nano = 6
        kept.settle(row)
        row.status = "open"
        kept.update(row)
        assert [from_json(raw).cost_nano for _, raw in kept.ready(10)] == [5]
        assert on_disk(tmp_path) == {row.id: True}


def test_it_keeps_the_newest_state_of_an_open_row(tmp_path: Path) -> None:
    with journal(tmp_path) as kept:
        row = opened()
        kept.open(row)
        row.attempts[0].usage = {"input": 9}
        kept.update(row)
        with scan(tmp_path, kept.name) as held:
            assert from_json(held.rows[row.id].read()) == row


def test_it_settles_what_was_never_opened_but_nothing_that_is_open(tmp_path: Path) -> None:
    with journal(tmp_path) as kept:
        kept.settle(cached())
        assert kept.backlog() == 1
        with pytest.raises(ValueError, match="open"):
            kept.settle(opened())


def test_it_refuses_new_requests_when_full_but_settles_the_old_ones(tmp_path: Path) -> None:
    with journal(tmp_path, cap_bytes=SMALL) as kept:
        rows = []
        with pytest.raises(JournalUnavailable, match="full"):
            for _ in range(1000):
                row = opened()
                kept.open(row)
                rows.append(row)
        assert kept.full
        assert len(rows) > 50
        before = on_disk(tmp_path)
        assert set(before) == {row.id for row in rows}
        for row in rows:
            row.status = "settled"
            kept.settle(row)
        assert on_disk(tmp_path) == {row.id: True for row in rows}
        kept.forget([row.id for row in rows])
        kept.sync()
        assert not kept.full
        kept.open(opened())


def test_it_frees_disk_space_however_long_a_stream_stays_open(tmp_path: Path) -> None:
    with journal(tmp_path, cap_bytes=SMALL) as kept:
        stream = opened()
        kept.open(stream)
        for _ in range(500):
            row = opened()
            kept.open(row)
            row.status = "settled"
            kept.settle(row)
            kept.forget([id for id, _ in kept.ready(100)])
            kept.sync()
            assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= SMALL
            assert on_disk(tmp_path)[stream.id] is False
        assert kept.in_flight() == 1


def test_it_takes_a_row_larger_than_a_segment(tmp_path: Path) -> None:
    with journal(tmp_path, cap_bytes=SMALL) as kept:
        row = settled(tags={"long": "x" * 20_000})
        kept.settle(settled())
        kept.settle(row)
        kept.settle(settled())
        assert [from_json(raw) for _, raw in kept.ready(3)][1] == row


def test_it_waits_out_a_full_disk(tmp_path: Path, disk: Path) -> None:
    with journal(disk, cap_bytes=64 * MIB) as kept:
        with pytest.raises(JournalUnavailable):
            for _ in range(10_000):
                row = opened()
                kept.open(row)
        row.status = "settled"
        kept.settle(row)
        assert on_disk(disk)[row.id] is True
        assert kept.full  # so that no more requests are sent our way
        with pytest.raises(JournalUnavailable):
            kept.sync()
        os.system(f"mount -o remount,size=20m {disk}")
        kept.sync()
        assert not kept.full
        kept.open(opened())


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A folder on a file system of 5 MiB, where we may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.system(f"mount -t tmpfs -o size=5m none {place} 2>/dev/null") != 0:
        pytest.skip("needs the right to mount a small file system")
    return place


@pytest.fixture(autouse=True)
def _unmounted(tmp_path: Path):
    yield
    if (tmp_path / "disk").is_mount():
        os.system(f"umount {tmp_path / 'disk'}")


def test_it_says_so_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalUnavailable):
        Journal(tmp_path / "file" / "journal", cap_bytes=SMALL)


def test_it_refuses_rows_once_closed(tmp_path: Path) -> None:
    with journal(tmp_path) as kept:
        pass
    for call in (kept.open, kept.update):
        with pytest.raises(JournalUnavailable):
            call(opened())
    with pytest.raises(JournalUnavailable):
        kept.settle(settled())
    assert list(tmp_path.iterdir()) == []


def test_it_writes_everything_again_when_its_folder_was_removed(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    with journal(folder) as kept:
        stream, waiting = opened(), settled()
        kept.open(stream)
        kept.settle(waiting)
        shutil.rmtree(folder)
        kept.sync()
        later = settled()
        kept.settle(later)
        assert on_disk(folder) == {stream.id: False, waiting.id: True, later.id: True}
        assert [id for id, _ in kept.ready(10)] == [waiting.id, later.id]
        assert list(orphans(folder)) == []


def test_it_leaves_rows_behind_for_the_next_process(tmp_path: Path) -> None:
    with journal(tmp_path) as kept:
        kept.settle(settled())
        assert list(orphans(tmp_path)) == []
    (orphan,) = orphans(tmp_path)
    assert orphan.name == kept.name
    orphan.release()


def test_it_may_be_forced_onto_the_disk_from_any_thread_while_it_is_written_and_tidied(tmp_path: Path) -> None:
    with journal(tmp_path) as kept, ThreadPoolExecutor(3) as pool:
        rows = [opened() for _ in range(2000)]
        pending = []
        for row in rows:
            kept.open(row)
            kept.settle(settled(id=row.id))
            pending += [pool.submit(kept.commit), pool.submit(kept.sync)]
            kept.forget([row.id])
        for each in pending:
            each.result()
        assert kept.backlog() == 0


def test_it_may_be_drained_by_one_thread_while_another_writes(tmp_path: Path) -> None:
    written, drained, done = [], [], threading.Event()
    with journal(tmp_path, cap_bytes=64 * MIB) as kept:

        def housekeeper() -> None:
            while not done.is_set() or kept.backlog():
                rows = kept.ready(50)
                drained.extend(from_json(raw).id for _, raw in rows)
                kept.forget([id for id, _ in rows])
                kept.sync()

        thread = threading.Thread(target=housekeeper)
        thread.start()
        try:
            for _ in range(8000):
                row = opened()
                kept.open(row)
                row.status = "settled"
                kept.settle(row)
                written.append(row.id)
        finally:
            done.set()
            thread.join()
        assert drained == written
        assert kept.backlog() == kept.in_flight() == 0
