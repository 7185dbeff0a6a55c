"""`qlite serve`: the gateway and its pages on the hardened Daphne."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from prometheus_client.multiprocess import mark_process_dead

from qlite_site import env, wiring
from qlite_site.fitness import damage
from qlite_site.server import ServerConfig, serve
from qlite_site.server.listen import parts


class Command(BaseCommand):
    help = "Serve the gateway and its pages until SIGTERM."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--bind", default=settings.BIND, help="HOST:PORT (QLITE_BIND)")
        parser.add_argument("--workers", type=int, default=settings.WORKERS, help="processes (QLITE_WORKERS)")
        parser.add_argument(
            "--allow-sqlite-workers", action="store_true", help="several workers on one SQLite file, at your own risk"
        )

    def handle(self, *, bind: str, workers: int, allow_sqlite_workers: bool, **options: Any) -> None:
        if workers < 1:
            raise CommandError("--workers must be at least 1")
        if settings.DEBUG and bind.rsplit(":", 1)[0] not in {"127.0.0.1", "localhost", "[::1]"}:
            raise CommandError("QLITE_DEBUG shows settings to whoever asks: it may be on only on a loopback address.")
        if workers > 1:
            self._prepare_workers(allow_sqlite_workers)
        config = ServerConfig(
            bind=bind,
            workers=workers,
            app=self.application,
            on_start=self.start,
            on_stop=wiring.stop,
            on_death=self.bury,
            early=wiring.early,
            error_body=wiring.error_body,
            error_headers=wiring.error_headers,
            max_request_bytes=settings.MAX_REQUEST_BYTES,
            max_connections=settings.MAX_CONNECTIONS,
            header_seconds=settings.HEADER_SECONDS,
            body_seconds=settings.BODY_SECONDS,
            write_stall_seconds=settings.WRITE_STALL_SECONDS,
            drain_seconds=settings.DRAIN_SECONDS,
            # A plain call whose caller has left is paid for by now: it may take as long as any other.
            abandon_seconds=settings.FIRST_BYTE_TIMEOUT,
            websockets=True,
            root_path=settings.FORCE_SCRIPT_NAME or "",
        )
        for sentence in env.misspelt(os.environ):
            self.stderr.write(sentence)
        try:
            parts(bind)
            self._look_for_database()
            sys.exit(serve(config))
        except ValueError as error:
            raise CommandError(str(error)) from None

    def application(self) -> Any:
        """Return the app, made in the worker."""
        from qlite_site.asgi import application

        return application

    def start(self, index: int) -> None:
        """Start what a worker holds, in the worker."""
        wiring.start(index)

    def bury(self, pid: int) -> None:
        """Take what a dead worker was doing out of the metrics; what it had done stays."""
        mark_process_dead(pid)  # type: ignore[no-untyped-call]

    def _look_for_database(self) -> None:
        """Stop where the file of SQLite is gone (it would make an empty one), may not be written, or is damaged."""
        place = settings.DATABASES["default"]
        if not place["ENGINE"].endswith("sqlite3"):
            return
        file = Path(str(place["NAME"]))
        if not (file.is_file() and file.stat().st_size):
            raise CommandError(f"There is no database in {file}: put it back, or run `qlite setup`.", returncode=3)
        if not os.access(file, os.W_OK):
            raise CommandError(f"The database in {file} may not be written by this user.", returncode=3)
        if found := damage():
            raise CommandError(f"The database in {file} is damaged: {found}. Put a backup in its place.", returncode=3)

    def _prepare_workers(self, allow_sqlite: bool) -> None:
        if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3") and not allow_sqlite:
            raise CommandError(
                "More than one worker needs PostgreSQL: set DATABASE_URL=postgres://..., or say --allow-sqlite-workers."
            )
        folder = settings.DATA_DIR / "metrics"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
