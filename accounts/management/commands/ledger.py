"""`qlite ledger verify` and `qlite ledger export`: prove that the ledger is sound, and write it out."""

import os
import sys
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

import orjson
from django.conf import settings
from django.core.management.base import BaseCommand

from accounts.management.moments import moment
from accounts.store import export, verify


class Command(BaseCommand):
    help = "Verify the ledger (exit code 1 and what is wrong), or export it, one request a line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("verify", help="Check every invariant. Changes nothing; the gateway may run meanwhile.")
        out = actions.add_parser("export", help="Write requests with their attempts to standard output.")
        out.add_argument("--format", choices=["jsonl"], default="jsonl")
        out.add_argument("--since", type=moment, help="Only what came in since this date or time.")

    def handle(self, *, action: str, since: datetime | None = None, **options: Any) -> None:
        if action == "verify":
            self._verify()
        else:
            self._export(since)

    def _verify(self) -> None:
        counts = verify.counts(settings.JOURNAL_DIR)
        self.stdout.write(", ".join(f"{count} {name}" for name, count in counts.items()))
        problems = verify.verify(settings.JOURNAL_DIR)
        for problem in problems:
            self.stderr.write(problem)
        if problems:
            raise SystemExit(1)
        self.stdout.write("The ledger is sound.")

    def _export(self, since: datetime | None) -> None:
        try:
            for row in export.rows(settings.JOURNAL_DIR, since):
                self.stdout.write(orjson.dumps(row).decode())
        except BrokenPipeError:
            # Whoever read us has seen enough. Python would complain once more when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
