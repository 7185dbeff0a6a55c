"""`qlite rotatecredentials`: seal the providers' stored credentials with the newest encryption key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from routing import store
from routing.fields import SecretUnreadable


class Command(BaseCommand):
    help = "Seal stored credentials with the first of QLITE_ENCRYPTION_KEYS; afterwards the older keys can go."

    def handle(self, **options: Any) -> str:
        try:
            count = store.rotate_credentials()
        except SecretUnreadable as error:
            raise CommandError(str(error)) from None
        return f"Sealed {count} credentials with the first of QLITE_ENCRYPTION_KEYS."
