"""`qlite serve` as an operator meets it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.server.client import ROOT


def serve(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "serve", *arguments],
        cwd=ROOT,
        env={**os.environ, "QLITE_DATA_DIR": str(folder), "DATABASE_URL": "", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_refuses_several_workers_on_one_sqlite_file(tmp_path: Path) -> None:
    done = serve(tmp_path, "--workers", "2")
    assert done.returncode == 1
    assert "More than one worker needs PostgreSQL" in done.stderr and "Traceback" not in done.stderr


def test_it_says_what_is_wrong_with_the_address(tmp_path: Path) -> None:
    done = serve(tmp_path, "--bind", "localhost")
    assert done.returncode == 1
    assert "'localhost' is not an address of the form HOST:PORT" in done.stderr and "Traceback" not in done.stderr
