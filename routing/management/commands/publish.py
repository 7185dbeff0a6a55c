"""`qlite publish`: let the draft serve, now or at a time, after its checks."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from routing import store
from routing.management.tables import AUTHOR, sentences


class Command(BaseCommand):
    help = "Publish the draft of the routing table: difference and checks first. Errors refuse it, warnings want --yes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--note", default="", help="A note for the revision; default: the notes of the edits.")
        parser.add_argument("--at", metavar="TIME", default="", help="When it goes live, such as 2026-12-01T06:00.")
        parser.add_argument("--yes", action="store_true", help="Publish in spite of warnings.")
        parser.add_argument("--dry-run", action="store_true", help="Show the difference and the checks alone.")
        parser.add_argument("--cancel", action="store_true", help="Take back the publication that waits for its time.")

    def handle(self, *, note: str, at: str, yes: bool, dry_run: bool, cancel: bool, **options: Any) -> None:
        try:
            if cancel:
                waited = store.cancel(AUTHOR)
                self.stdout.write(
                    f"Cancelled what was to go live at {shown(waited.due)}. Its changes stay in the draft."
                )
                return
            self._publish(note, moment(at) if at else None, yes=yes, dry_run=dry_run)
        except store.Unconfirmed:
            raise CommandError("Nothing was published: with --yes the warnings are accepted.") from None
        except store.RoutingRefused as refused:
            raise CommandError(f"Nothing was published: {refused}.") from None

    def _publish(self, note: str, due: datetime | None, *, yes: bool, dry_run: bool) -> None:
        table = store.draft()
        seen, changes = store.version(table), store.waiting_changes(table)
        if not changes:
            self.stdout.write("There is nothing to publish.")
            return
        for line in sentences(changes):
            self.stdout.write(line)
        for each in store.findings(table):
            self.stdout.write(f"{'as before' if each.known else each.level}: {each.sentence}")
        if dry_run:
            self.stdout.write("Nothing was published: this was a dry run.")
        elif due is not None:
            store.schedule(AUTHOR, note, due, seen=seen, confirmed=yes)
            self.stdout.write(f"Goes live by itself at {shown(due)}; `qlite publish --cancel` takes it back.")
        else:
            self.stdout.write(
                f"Published revision {store.publish_draft(AUTHOR, note, seen=seen, confirmed=yes).number}."
            )


def moment(text: str) -> datetime:
    """Read a time; without a zone it is the organisation's. Raises CommandError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{text!r} is not a time such as 2026-12-01T06:00") from None
    return found if found.tzinfo is not None else timezone.make_aware(found)


def shown(when: datetime) -> str:
    return f"{timezone.localtime(when):%Y-%m-%d %H:%M:%S %Z}"
