from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts.store import triggers

        post_migrate.connect(triggers.after_migrate, sender=self, dispatch_uid="accounts.triggers")
