"""`qlite rollback [N]`: publish an earlier revision again and set the rows to it."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from routing import store
from routing.diff import changes
from routing.management.tables import AUTHOR, outcome, sentences
from routing.models import Revision


class Command(BaseCommand):
    help = "Publish revision N again, by default the one before what serves. Unpublished changes are lost, and told."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", metavar="N", nargs="?", type=int, help="The number of a revision.")
        parser.add_argument("--dry-run", action="store_true", help="Show what would change, and change nothing.")
        parser.add_argument(
            "--without-approval",
            action="store_true",
            help="Publish at once also where QLITE_ROUTING_APPROVAL wants a second person.",
        )
        parser.add_argument(
            "--move-credentials",
            action="store_true",
            help="Let stored credentials follow their providers to the hosts that the revision names.",
        )

    def handle(self, *, number: int | None, dry_run: bool, **options: Any) -> None:
        try:
            revision = store.numbered(before() if number is None else number)
            self._show(revision)
            if dry_run:
                self.stdout.write("Nothing was changed: this was a dry run.")
                return
            alone, move = options["without_approval"], options["move_credentials"]
            skipped = alone and settings.ROUTING_APPROVAL and not store.may_restore(revision)
            kept = store.bring_back(revision, AUTHOR, alone=alone, move_credentials=move)
        except store.CredentialsMove as refused:
            raise CommandError(
                f"Nothing was changed: {refused}. Enter it again in the admin, or say --move-credentials."
            ) from None
        except store.RoutingRefused as refused:
            raise CommandError(f"Nothing was changed: {refused}.") from None
        self._tell(kept, skipped)

    def _show(self, revision: Revision) -> None:
        serving = store.document_of(store.latest())
        for line in sentences(changes(serving, store.document_of(revision))):
            self.stdout.write(line)
        for change in store.waiting_changes():
            self.stdout.write(f"lost, not published yet: {change.sentence}")

    def _tell(self, kept: store.Kept, skipped: bool) -> None:
        if not kept.new or kept.revision is None:
            self.stdout.write(f"A second person has to publish it, or say --without-approval. {outcome(kept)}")
            return
        if skipped:
            self.stderr.write("Published WITHOUT the second person that QLITE_ROUTING_APPROVAL asks for.")
        self.stdout.write(f"{kept.revision.note}. Revision {kept.revision.number} serves.")


def before() -> int:
    """Return the number of the revision before the one that serves. Raises CommandError."""
    number = store.before_last()
    if not number:
        raise CommandError("there is no earlier revision")
    return number
