"""Databases that can be taken away: a SQLite file that another process holds, a PostgreSQL that is stopped."""

import contextlib
import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from loadtest import procfs
from loadtest.bench.rig import free_port

_HOLD = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
db.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
db.execute("ROLLBACK")
"""
START_SECONDS = 20.0
NEEDED = ("initdb", "postgres", "pg_isready")


class Database(Protocol):
    def fresh(self) -> str:
        """Return what DATABASE_URL says of a new database, "" for the file in the data folder."""
        ...

    def away(self, folder: Path) -> AbstractContextManager[None]:
        """Take the database of the data folder away for as long as this lasts."""
        ...


class Sqlite:
    """The file in the data folder: somebody else writes to it and does not finish."""

    def fresh(self) -> str:
        return ""

    @contextlib.contextmanager
    def away(self, folder: Path) -> Iterator[None]:
        command = [sys.executable, "-c", _HOLD, str(folder / "qlite.sqlite3")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None and process.stdout is not None
            if process.stdout.readline() != b"held\n":
                raise sqlite3.OperationalError("the database could not be held")
            try:
                yield
            finally:
                process.stdin.close()


class Postgres:
    """A server of our own, which is stopped with all its processes, as a machine that hangs."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, user: str) -> None:
        self._process = process
        self._server = f"postgres://{user}@127.0.0.1:{port}/"
        self._made = 0

    def fresh(self) -> str:
        import psycopg  # an extra, which only this needs

        self._made += 1
        with psycopg.connect(f"{self._server}postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE torture{self._made}".encode())
        return f"{self._server}torture{self._made}"

    @contextlib.contextmanager
    def away(self, folder: Path) -> Iterator[None]:
        self._tell(signal.SIGSTOP)
        try:
            yield
        finally:
            self._tell(signal.SIGCONT)

    def _tell(self, number: signal.Signals) -> None:
        for pid in procfs.tree(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def programs() -> Path | None:
    """Return where PostgreSQL's programs are, None where they are not installed."""
    found = shutil.which("initdb")
    known = [Path(found).resolve().parent] if found else []
    known += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)  # where Debian has them
    return next((each for each in known if all((each / name).exists() for name in NEEDED)), None)


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A new cluster in a folder of its own, on a free port; it is gone afterwards."""
    bin = programs()
    if bin is None:
        raise RuntimeError("PostgreSQL is not installed: initdb was not found")
    folder, user = Path(tempfile.mkdtemp(prefix="qlite-postgres-")), _who()
    port, who = free_port(), {"user": user} if os.geteuid() == 0 else {}
    if who:
        shutil.chown(folder, user)
    try:
        made: Any = subprocess.run(
            [bin / "initdb", "-D", folder / "data", "-U", user, "-A", "trust", "--no-sync"],
            **who, capture_output=True, text=True, cwd=folder,
        )  # fmt: skip
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr[-1000:]}")
        with _serving(bin, folder, port, who) as process:
            yield Postgres(process, port, user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _serving(bin: Path, folder: Path, port: int, who: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    options = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [bin / "postgres", "-D", folder / "data", *options], **who, stdout=log, stderr=log, cwd=folder
        )
    try:
        until = time.monotonic() + START_SECONDS
        while subprocess.run([bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]).returncode:
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((folder / "log").read_text()[-1000:])
            time.sleep(0.1)
        yield process
    finally:
        process.send_signal(signal.SIGINT)  # sessions are ended, not waited for
        process.wait(START_SECONDS)


def _who() -> str:
    """Return under whose name to run: PostgreSQL refuses to be root."""
    return "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
