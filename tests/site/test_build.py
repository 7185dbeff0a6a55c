"""Which qlite this is: the commit is found however git keeps it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from loadtest.bench.rig import ROOT, qlite
from qlite_site import __version__
from qlite_site.build import _from_git


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=ann", "-c", "user.email=ann@example.com")
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init")
    git(folder, "commit", "--allow-empty", "-m", "first")
    return folder


@pytest.mark.parametrize("words", [(), ("gc",), ("checkout", "--detach"), ("checkout", "-b", "a/b")])
def test_it_names_the_commit_of_a_checkout(checkout: Path, words: tuple[str, ...]) -> None:
    if words:
        git(checkout, *words)
    found = _from_git(checkout / ".git")
    assert found["commit"] == git(checkout, "rev-parse", "HEAD")[:12]
    assert found["built"].startswith("20")


@pytest.mark.parametrize("pack", [False, True])
def test_it_names_the_commit_of_a_second_working_tree(checkout: Path, pack: bool) -> None:
    git(checkout, "worktree", "add", "../second", "-b", "second")
    second = checkout.parent / "second"
    git(second, "commit", "--allow-empty", "-m", "second")
    if pack:
        git(second, "pack-refs", "--all")
    assert _from_git(second / ".git")["commit"] == git(second, "rev-parse", "HEAD")[:12]


def test_it_says_so_where_there_is_no_git(tmp_path: Path) -> None:
    assert _from_git(tmp_path / ".git") == {"commit": "unknown", "built": "unknown"}


@pytest.mark.parametrize("word", ["version", "--version"])
def test_the_command_tells_its_own_version_and_not_djangos(word: str) -> None:
    said = subprocess.run([*qlite(), word], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert said == f"qlite {__version__}\n"
