"""The roles that come with the gateway: groups with permissions. Superusers may do everything; people have roles.

A role opens the admin only for people marked as staff. What a team's members and leads may do on their own pages
follows from their membership; `team-lead` therefore holds no permission over everybody's rows.
"""

from collections.abc import Iterator

from django.contrib.auth.models import Group, Permission
from django.db.models import Q

EVERYTHING = "view add change delete"

LOOK = {
    "routing.provider": "view",
    "routing.route": "view",
    "routing.target": "view",
    "routing.revision": "view",
    "routing.breaker": "view",
    "accounts.team": "view",
    "accounts.membership": "view",
    "accounts.apikey": "view",
    "accounts.keyrequest": "view",
    "accounts.budget": "view",
    "accounts.budgetalert": "view",
    "accounts.price": "view",
    "accounts.requestrecord": "view",
    "accounts.attemptrecord": "view",
    "accounts.adjustment": "view",
    "accounts.dailytotal": "view",
    "accounts.ledgerday": "view",
    "accounts.repricing": "view",
    "accounts.ledgerquarantine": "view",
    "admin.logentry": "view",
}

# Cached answers are what people wrote and read: only ops sees them.
ROLES: dict[str, dict[str, str]] = {
    "ops": LOOK
    | {
        "routing.provider": EVERYTHING,
        "routing.route": EVERYTHING,
        "routing.target": EVERYTHING,
        "routing.breaker": "view add change",
        "routing.revision": "view add",  # to add one is to publish or to restore
        "accounts.team": EVERYTHING,
        "accounts.membership": EVERYTHING,
        "accounts.apikey": "view add change",
        "accounts.budget": EVERYTHING,
        "accounts.keyrequest": "view change",
        "proxy.cacheentry": "view change delete",
        "qlite_site.replay": "view add change",  # to change one is to cancel it
        "auth.user": "view",
    },
    "finance": LOOK | {"accounts.price": "view add delete", "accounts.adjustment": "view add"},
    "team-lead": {},
    "viewer": LOOK,
}


def ensure_roles() -> None:
    """Create the groups that are missing and give each the permissions that it lacks; nothing is taken away.

    Permissions of a model exist once its app has been migrated, so this is called after all of them are.
    """
    wanted = {name: set(_codes(models)) for name, models in ROLES.items()}
    known = _permissions(set().union(*wanted.values()))
    for name, codes in wanted.items():
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.add(*(known[code] for code in codes if code in known))


def _codes(models: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield app and codename, such as `("routing", "view_route")`."""
    for label, verbs in models.items():
        app, _, model = label.partition(".")
        for verb in verbs.split():
            yield app, f"{verb}_{model}"


def _permissions(codes: set[tuple[str, str]]) -> dict[tuple[str, str], Permission]:
    named = Q(codename__in={codename for _, codename in codes})
    found = Permission.objects.filter(named).select_related("content_type")
    return {(each.content_type.app_label, each.codename): each for each in found}
