"""Keys from and to their rows. The text of a key passes through here once, when it is made, and is not kept."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from accounts import keys
from accounts.keys import Grant, Minted
from accounts.models import ApiKey, Team
from accounts.store import budgets

_served: list[Callable[[Iterable[str], str], list[str]]] = []


def ask_models(unserved: Callable[[Iterable[str], str], list[str]]) -> None:
    """Let `unserved` say which of some names lead a team nowhere."""
    _served[:] = [unserved]


def doubts(models: Iterable[str], team: Team) -> list[str]:
    """Return a sentence for each model that a key of this team permits and that nobody serves."""
    names = _served[0](models, team.name) if _served else []
    return [f"No route serves {name}: as long as there is none, the key cannot use it." for name in names]


def namesakes(team: Team, label: str) -> list[str]:
    """Return a sentence for each valid key of this team that is called the same: two names look like one in reports."""
    valid = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    others = team.keys.filter(valid, label=label, disabled=False)
    return [f"Team {team.name} has a key {label} already, {each.shown}, which stays valid." for each in others]


def load_keys() -> dict[str, Grant]:
    """Return what every key permits, by digest; also disabled and expired ones, so that the log can tell why."""
    rows = ApiKey.objects.order_by().values_list(
        "digest",
        "id8",
        "label",
        "team__name",
        "team__cost_centre",
        "owner",
        "team__owner",
        "models",
        "expires_at",
        "disabled",
        "team__disabled",
        "team__priced_only",
    )
    return {digest: _grant(*rest) for digest, *rest in rows.iterator()}


@transaction.atomic
def make_key(
    team: Team,
    label: str,
    *,
    owner: str = "",
    models: Iterable[str] = (),
    monthly_budget_nano: int | None = None,
    expires_at: datetime | None = None,
    by: str = "",
) -> tuple[ApiKey, Minted]:
    """Make a key for a team. The secret is in the second value only: show it once."""
    minted = keys.mint()
    row = ApiKey.objects.create(
        id8=minted.id,
        digest=minted.digest,
        last4=minted.last4,
        team=team,
        label=label,
        owner=owner,
        models=list(models),
        expires_at=expires_at,
        created_by=by,
    )
    if monthly_budget_nano is not None:
        budgets.set_monthly(row, monthly_budget_nano, by=by)
    return row, minted


def touch_used(used: Mapping[str, float]) -> None:
    """Note when keys (by their public id) were last used, in epoch seconds. Never makes the gateway reload its keys."""
    moments = [(datetime.fromtimestamp(at, UTC), id8) for id8, at in sorted(used.items())]
    stamped = [(connection.ops.adapt_datetimefield_value(moment), id8) for moment, id8 in moments]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE accounts_apikey SET last_used_at = %s "
            "WHERE id8 = %s AND (last_used_at IS NULL OR last_used_at < %s)",
            [(moment, id8, moment) for moment, id8 in stamped],
        )


def _grant(
    id8: str,
    label: str,
    team: str,
    cost_centre: str,
    owner: str,
    team_owner: str,
    models: list[str],
    expires_at: datetime | None,
    disabled: bool,
    team_disabled: bool,
    priced_only: bool,
) -> Grant:
    return Grant(
        key_id=id8,
        label=label,
        team=team,
        cost_centre=cost_centre,
        owner=owner or team_owner,
        models=tuple(models),
        expires_at=expires_at.timestamp() if expires_at else None,
        disabled=disabled,
        team_disabled=team_disabled,
        priced_only=priced_only,
    )
