"""`qlite diff [A] [B]`: what leads from one state of the routing table to another."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from routing.diff import changes
from routing.management.tables import STATES, sentences, state


class Command(BaseCommand):
    help = f"Tell what leads from A to B: {STATES}. Ends with 0 where both say the same, 1 where not, 2 in trouble."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("a", metavar="A", nargs="?", default="serving", help="Default: what serves.")
        parser.add_argument("b", metavar="B", nargs="?", default="draft", help="Default: the draft.")

    def handle(self, *, a: str, b: str, **options: Any) -> None:
        found = sentences(changes(state(a), state(b)))
        for line in found or ["No difference."]:
            self.stdout.write(line)
        if found:
            sys.exit(1)
