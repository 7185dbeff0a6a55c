"""`qlite ledger`: prove that it is sound, write it out, count its totals anew, reckon a period again."""

import os
import sys
from argparse import ArgumentParser
from getpass import getuser
from typing import Any

import orjson
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.management.moments import day, moment
from accounts.money import usd
from accounts.store import export, rebuild, reprice, verify
from accounts.store.rebuild import RebuildRefused
from accounts.store.reprice import RepricingRefused, Wish


class Command(BaseCommand):
    help = "Verify the ledger (exit code 1 and what is wrong), export it, rebuild totals, or reprice a period."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("verify", help="Check every invariant. Changes nothing; the gateway may run meanwhile.")
        out = actions.add_parser("export", help="Write requests with their attempts to standard output.")
        out.add_argument("--format", choices=["jsonl"], default="jsonl")
        out.add_argument("--since", type=moment, help="Only what came in since this date or time.")

        again = actions.add_parser("rebuild", help="Count daily totals anew, and replace those that are off.")
        again.add_argument("--day", type=day, help="Only this day; else all that have their details.")
        again = actions.add_parser("reprice", help="Reckon a period with today's prices; only --apply books anything.")
        again.add_argument("--since", type=moment, required=True, help="From this date or time on,")
        again.add_argument("--until", type=moment, required=True, help="and before this one.")
        again.add_argument("--provider", default="", help="Only requests that tried this provider.")
        again.add_argument("--model", default="", help="Only this model of the provider's, or its beginning and a *.")
        again.add_argument("--unpriced", action="store_true", help="Only requests that had no price.")
        again.add_argument("--reason", default="Repriced on the command line.", help="Stands on each adjustment.")
        again.add_argument("--apply", action="store_true", help="Book the differences as adjustments.")

    def handle(self, *, action: str, **options: Any) -> None:
        actions = {
            "verify": self._verify,
            "export": self._export,
            "rebuild": self._rebuild,
            "reprice": self._reprice,
        }
        actions[action](options)

    def _rebuild(self, options: dict[str, Any]) -> None:
        days = [options["day"]] if options["day"] else rebuild.days()
        count = 0
        for each in days:
            try:
                found = rebuild.rebuild(each)
            except RebuildRefused as refused:
                raise CommandError(str(refused)) from refused
            count += bool(found)
            for difference in found:
                self.stdout.write(difference)
        self.stdout.write(f"{len(days)} days counted, {count} replaced.")

    def _reprice(self, options: dict[str, Any]) -> None:
        since, until, unpriced = (options[name] for name in ("since", "until", "unpriced"))
        wish = Wish(since, until, options["provider"], options["model"], unpriced)
        try:
            asked = reprice.ask(wish, author=getuser(), reason=options["reason"], at_once=options["apply"])
        except RepricingRefused as refused:
            raise CommandError(str(refused)) from refused
        job = reprice.run(asked.pk)
        for name, (count, delta) in sorted(job.by_model.items(), key=lambda each: -abs(each[1][1])):
            self.stdout.write(f"{name}: {count} requests, {usd(delta)} USD")
        self.stdout.write(f"{job.looked} requests looked at, {job.found} would change by {usd(job.delta_nano)} USD.")
        if job.waiting:
            self.stdout.write(f"{job.waiting} still have no price.")
        if options["apply"]:
            self.stdout.write(f"Booked {job.booked} adjustments of {usd(job.booked_nano)} USD.")
        else:
            self.stdout.write(f"Nothing was booked. Apply repricing {job.pk} in the admin, or say --apply.")

    def _verify(self, options: dict[str, Any]) -> None:
        counts = verify.counts(settings.JOURNAL_DIR)
        self.stdout.write(", ".join(f"{count} {name}" for name, count in counts.items()))
        problems = verify.verify(settings.JOURNAL_DIR)
        for problem in problems:
            self.stderr.write(problem)
        if problems:
            raise SystemExit(1)
        self.stdout.write("The ledger is sound.")

    def _export(self, options: dict[str, Any]) -> None:
        try:
            for row in export.rows(settings.JOURNAL_DIR, options["since"]):
                self.stdout.write(orjson.dumps(row).decode())
        except BrokenPipeError:
            # Whoever read us has seen enough. Python would complain once more when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
