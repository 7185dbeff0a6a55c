"""`qlite setup`: migrate, and at the very first start create what a new installation needs."""

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from qlite_site.bootstrap import FirstStart, alone, curl_line, first_start

PLACES = [("API", "/v1"), ("Admin", "/admin/"), ("Keys", "/keys/"), ("Reports", "/reports/"), ("Health", "/health")]


class Command(BaseCommand):
    help = "Prepare the database; at the first start also an admin, a team, a key and the providers found."

    def handle(self, *args: Any, **options: Any) -> None:
        with alone():
            call_command("migrate", interactive=False, verbosity=0)
            made = first_start()
        self._tell(made)

    def _tell(self, made: FirstStart) -> None:
        def say(text: str) -> None:
            self.stdout.write(text + "\n", ending="")

        if made.key:
            say("This is the first start. Keep these, they are not shown again:\n")
            if made.password:
                say(f"  admin password  {made.password}   (user name: admin)")
            say(f"  API key         {made.key}   (team: demo)\n")
            say("Try it:\n\n  " + curl_line(made.key) + "\n")
            if made.providers:
                say("Providers found in the environment: " + ", ".join(made.providers) + "\n")
        else:
            say("Everything is set up. With your key in QLITE_KEY:\n\n  " + curl_line("$QLITE_KEY") + "\n")
        for name, path in PLACES:
            say(f"  {name:8} {settings.PUBLIC_URL}{path}")
        say("")
