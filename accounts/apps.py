from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Keys and money"

    def ready(self) -> None:
        from accounts.store import kept, months, triggers

        post_migrate.connect(triggers.after_migrate, sender=self, dispatch_uid="accounts.triggers")
        pre_migrate.connect(kept.before_migrate, sender=self, dispatch_uid="accounts.kept.before")
        post_migrate.connect(kept.after_migrate, sender=self, dispatch_uid="accounts.kept")
        post_migrate.connect(months.after_migrate, sender=self, dispatch_uid="accounts.months")
