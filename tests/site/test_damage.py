"""A file of SQLite that is damaged, or may not be written, is told in a sentence, before anything is served."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.site.test_settings import qlite

PAGE = 4096


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert qlite("setup", folder, DATABASE_URL="").returncode == 0
    return folder


def no_database(data: bytes) -> bytes:
    return b"x" * 1024 + data[1024:]


def cut_short(data: bytes) -> bytes:
    return data[: 20 * PAGE]


def last_pages(data: bytes) -> bytes:
    return data[: -40 * PAGE] + b"".join(
        b"x" * 1024 + data[at + 1024 : at + PAGE] for at in range(-40 * PAGE, -PAGE, PAGE)
    )


@pytest.mark.parametrize("damage", [no_database, cut_short, last_pages])
def test_a_damaged_file_is_not_served(whole: Path, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "data"))
    file = folder / "qlite.sqlite3"
    file.write_bytes(damaged := damage(file.read_bytes()))
    run = qlite("serve", folder, DATABASE_URL="", QLITE_BIND="127.0.0.1:0")
    assert (run.returncode, run.stdout) == (3, "")
    assert run.stderr.startswith(f"CommandError: The database in {file} is damaged: ")
    assert run.stderr.count("\n") == 1
    assert file.read_bytes() == damaged


@pytest.mark.parametrize("command", ["setup", "export"])
def test_commands_say_it_in_one_line(whole: Path, tmp_path: Path, command: str) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "data"))
    file = folder / "qlite.sqlite3"
    file.write_bytes(no_database(file.read_bytes()))
    run = qlite(command, folder, DATABASE_URL="")
    assert run.returncode == 1
    assert run.stderr == (
        "qlite cannot use the database (DATABASE_URL): file is not a database;"
        " its file has to be put back from a backup, see docs/operating.md\n"
    )


def test_a_database_without_tables_is_told_in_one_line(tmp_path: Path) -> None:
    run = qlite("export", tmp_path, DATABASE_URL="")
    assert run.returncode == 1
    assert run.stderr == "qlite cannot use the database (DATABASE_URL): it has not been set up: run `qlite setup`\n"
