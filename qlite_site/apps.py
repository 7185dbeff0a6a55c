from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "qlite_site"
    verbose_name = "qlite"

    def ready(self) -> None:
        from accounts.store.budgets import ask_routes
        from accounts.store.keys import ask_models
        from accounts.store.prices import ask_providers
        from qlite_site import checks  # noqa: F401  registers the system checks
        from qlite_site.asked import named, priced, teams, uncounted, unpricing, unserved
        from qlite_site.lean import load_unfold
        from routing.store import ask_named, ask_prices, ask_teams

        load_unfold()  # before the admin is
        ask_prices(priced)
        ask_teams(teams)
        ask_named(named)
        ask_routes(uncounted)
        ask_providers(unpricing)
        ask_models(unserved)
