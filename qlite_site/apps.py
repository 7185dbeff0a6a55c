from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "qlite_site"
    verbose_name = "qlite"

    def ready(self) -> None:
        from qlite_site import checks  # noqa: F401  registers the system checks
