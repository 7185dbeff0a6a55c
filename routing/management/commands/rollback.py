"""`qlite rollback [N]`: publish an earlier revision again and set the rows to it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from routing import store
from routing.diff import changes
from routing.management.tables import AUTHOR, sentences
from routing.models import Revision


class Command(BaseCommand):
    help = "Publish revision N again, by default the one before what serves. Unpublished changes are lost, and told."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", metavar="N", nargs="?", type=int, help="The number of a revision.")
        parser.add_argument("--dry-run", action="store_true", help="Show what would change, and change nothing.")

    def handle(self, *, number: int | None, dry_run: bool, **options: Any) -> None:
        try:
            revision = store.numbered(before() if number is None else number)
            serving = store.document_of(store.latest())
            for line in sentences(changes(serving, store.document_of(revision))):
                self.stdout.write(line)
            for change in store.waiting_changes():
                self.stdout.write(f"lost, not published yet: {change.sentence}")
            if dry_run:
                self.stdout.write("Nothing was changed: this was a dry run.")
                return
            published = store.restore(revision, AUTHOR)
        except store.RoutingRefused as refused:
            raise CommandError(f"Nothing was changed: {refused}.") from None
        self.stdout.write(f"{published.note}. Revision {published.number} serves.")


def before() -> int:
    """Return the number of the revision before the one that serves. Raises CommandError."""
    numbers = Revision.objects.order_by("-number").values_list("number", flat=True)[:2]
    if len(numbers) < 2:
        raise CommandError("there is no earlier revision")
    return int(numbers[1])
