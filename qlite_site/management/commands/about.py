"""`qlite about`: which qlite this is."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Print version, commit, build time, Python and Django version."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> str:
        return "\n".join(f"{name}: {value}" for name, value in settings.BUILD.items())
