"""`qlite export [FILE]`: the routing table that serves, as YAML without secrets."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from routing import exchange, store


class Command(BaseCommand):
    help = "Write the published routing table as YAML, to FILE or standard output. Secrets are never in it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", nargs="?", default="-")
        parser.add_argument(
            "--revision", metavar="N", default="serving", help="A number, or 'draft'; default: serving."
        )

    def handle(self, *, file: str, revision: str, **options: Any) -> None:
        try:
            text = exchange.write(store.named(revision) if store.latest() else store.draft())
        except store.RoutingRefused as refused:
            raise CommandError(str(refused)) from None
        if file == "-":
            self.stdout.write(text, ending="")
            return
        try:
            Path(file).write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error}") from None
