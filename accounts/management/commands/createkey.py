"""`qlite createkey`: make an API key on the command line. The secret is printed once and kept nowhere."""

from argparse import ArgumentParser
from difflib import get_close_matches
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from accounts.management.moments import moment
from accounts.models import ApiKey, Team
from accounts.store.keys import doubts, make_key, namesakes

LONGEST = ApiKey._meta.get_field("label").max_length or 0


class Command(BaseCommand):
    help = "Make an API key for a team and print it, once. A running gateway accepts it within a second."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--team", required=True, help="The team's short name; made where there is none, which is said."
        )
        parser.add_argument("--name", required=True, help="What the key is called in lists and reports.")
        parser.add_argument("--models", default="", help="What it may use: names, or patterns with one *, by comma.")
        parser.add_argument("--expires", type=moment, help="A date or time, such as 2027-01-31 or 2027-01-31T12:00Z.")
        parser.add_argument("--quiet", action="store_true", help="Print the key alone.")

    @transaction.atomic
    def handle(self, *, team: str, name: str, models: str, quiet: bool, **options: Any) -> None:
        if options["expires"] and options["expires"] <= timezone.now():
            raise CommandError("--expires lies in the past: nobody could use this key.")
        name = name.strip()
        if not name or len(name) > LONGEST or not name.isprintable():
            raise CommandError(f"--name has to be a line of text, of {LONGEST} characters at most.")
        row = self._team(team)
        wanted = [word for word in (part.strip() for part in models.split(",")) if word]
        for model in wanted:
            if model.count("*") > 1:
                raise CommandError(f"{model} has more than one *")
        for doubt in [*doubts(wanted, row), *namesakes(row, name)]:
            self.stderr.write(doubt)  # where --quiet does not swallow it
        key, minted = make_key(row, name, models=wanted, expires_at=options["expires"], by="command line")
        if quiet:
            self.stdout.write(minted.text)
            return
        self.stdout.write(f"Key {key.label} of team {row.name}. Copy it now, it is not shown again:\n\n{minted.text}\n")

    def _team(self, name: str) -> Team:
        known = Team.objects.filter(name=name).first()
        if known is not None:
            return known
        alike = _alike(name)
        team = Team(name=name)
        try:
            team.full_clean()
        except ValidationError as error:
            raise CommandError(f"{name!r} cannot be a team's name: {' '.join(error.messages)}") from error
        team.save()
        self.stderr.write(f"There was no team {name}: made it.{alike}")
        return team


def _alike(name: str) -> str:
    """Return a sentence with the teams whose names are much like this one, if there are any."""
    names = Team.objects.values_list("name", flat=True)
    near = get_close_matches(name.lower(), names, n=3)
    return f" Did you mean {' or '.join(near)}?" if near else ""
