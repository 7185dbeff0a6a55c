"""Rows to document and back. Whoever writes holds the transaction."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from routing import aliases, document
from routing.document import PROVIDER_FIELDS, ROUTE_FIELDS, TARGET_FIELDS, Document, DocumentError, Entry
from routing.models import Provider, Route, Target
from routing.readers import STORED

PROVIDER_COLUMNS = tuple(name for name in PROVIDER_FIELDS if name != "credential")
ROUTE_COLUMNS = tuple(name for name in ROUTE_FIELDS if name != "targets")
_TARGET_COLUMNS = tuple(name for name in TARGET_FIELDS if name != "provider")
_READINGS = 5


class RoutingRefused(ValueError):
    """The rows cannot take what was asked; the text is a sentence for whoever asked."""


def read_rows() -> Document:
    """Return the rows as a document in normal form.

    The tables are read one after the other; where somebody saved in between and a target's other half is not there,
    they are read again. Raises RoutingRefused if that never ends, or if a row breaks the rules.
    """
    for _ in range(_READINGS):
        found = _read_once()
        if found is not None:
            try:
                return _checked(document.normal(found))
            except DocumentError as error:
                raise RoutingRefused(f"the routing table cannot be published: {error}") from None
    raise RoutingRefused("the routing table keeps changing while it is read; try again")


def write_rows(table: Document, secrets: Mapping[str, str], *, replace: bool) -> list[str]:
    """Make the rows say what `table` (in normal form) says, by name; `replace` removes what it does not mention.

    `secrets` are new credentials by provider. Returns what the caller should know. Raises RoutingRefused.
    """
    present = read_rows()
    notices = _write_providers(table["providers"], _by_name(present["providers"]), secrets)
    _write_routes(table["routes"], _by_name(present["routes"]))
    if replace:
        _remove_others(table)
    return notices


def _checked(table: Document) -> Document:
    aliases.check(table)
    return table


def _read_once() -> dict[str, Any] | None:
    targets = list(Target.objects.order_by("position", "id").values("route_id", "provider_id", *_TARGET_COLUMNS))
    routes = list(Route.objects.values("id", *ROUTE_COLUMNS))
    providers = list(Provider.objects.values("id", "credential", "credential_env", *PROVIDER_COLUMNS))
    names = {row["id"]: row["name"] for row in providers}
    by_route: dict[int, list[Entry]] = defaultdict(list)
    for row in targets:
        route, provider = row.pop("route_id"), row.pop("provider_id")
        if provider not in names:
            return None
        by_route[route].append({"provider": names[provider], **row})
    return {
        "providers": [_provider_entry(row) for row in providers],
        "routes": [{"targets": by_route[row.pop("id")], **row} for row in routes],
    }


def provider_entry(pk: int) -> Entry:
    """Return one provider's row as a raw entry of the document."""
    return _provider_entry(Provider.objects.values("id", "credential", "credential_env", *PROVIDER_COLUMNS).get(pk=pk))


def route_entry(pk: int) -> Entry:
    """Return one route's row with its targets as a raw entry of the document."""
    targets = Target.objects.filter(route_id=pk).order_by("position", "id")
    named = [
        {"provider": each.pop("provider__name"), **each} for each in targets.values("provider__name", *_TARGET_COLUMNS)
    ]
    return {**Route.objects.values(*ROUTE_COLUMNS).get(pk=pk), "targets": named}


def _provider_entry(row: dict[str, Any]) -> Entry:
    del row["id"]
    stored, variable = bool(row.pop("credential")), row.pop("credential_env")
    credential = dict(STORED) if stored else ({"env": variable} if variable else None)
    return {**row, "credential": credential}


def _by_name(entries: list[Entry]) -> dict[str, Entry]:
    """Entries by what tells them apart: see routing.document.label."""
    return {document.label(entry): entry for entry in entries}


def _write_providers(wanted: list[Entry], present: Mapping[str, Entry], secrets: Mapping[str, str]) -> list[str]:
    rows = {row.name: row for row in Provider.objects.all()}
    notices = []
    for entry in wanted:
        name = entry["name"]
        have = present.get(name)
        keeps = entry["credential"] == STORED
        if keeps and have is not None:
            entry = {**entry, "credential": have["credential"]}
        if name not in secrets and have == entry:
            continue
        write_provider(rows.get(name) or Provider(name=name), entry, secrets.get(name))
        if keeps and have is None and name not in secrets:
            notices.append(f"provider {name} has no credential yet; enter it if it needs one")
    return notices


def write_provider(row: Provider, entry: Entry, secret: str | None) -> None:
    """Make one row say what `entry` says, with `secret` as its credential. Raises RoutingRefused."""
    for name in PROVIDER_COLUMNS:
        setattr(row, name, entry[name])
    if secret is not None:
        row.credential, row.credential_env = secret, ""
    elif entry["credential"] != STORED:
        row.credential, row.credential_env = "", (entry["credential"] or {}).get("env", "")
    try:
        row.full_clean(validate_unique=False)
    except ValidationError as error:
        raise RoutingRefused(f"provider {row.name}: {' '.join(error.messages)}") from None
    row.save()


def _write_routes(wanted: list[Entry], present: Mapping[str, Entry]) -> None:
    changed = [entry for entry in wanted if present.get(document.label(entry)) != entry]
    if not changed:
        return
    Route.objects.bulk_create(
        [Route(**{name: entry[name] for name in ROUTE_COLUMNS}) for entry in changed],
        batch_size=500,
        update_conflicts=True,
        unique_fields=["name", "team"],
        update_fields=[*(name for name in ROUTE_COLUMNS if name not in {"name", "team"}), "updated_at"],
    )
    write_targets(changed)


def write_targets(routes: list[Entry]) -> None:
    """Replace all targets of `routes`."""
    ids = {(name, team): pk for name, team, pk in Route.objects.values_list("name", "team", "id")}
    providers = dict(Provider.objects.values_list("name", "id"))
    Target.objects.filter(route_id__in=[ids[entry["name"], entry["team"]] for entry in routes]).delete()
    rows = []
    for entry in routes:
        for position, target in enumerate(entry["targets"]):
            if target["provider"] not in providers:
                raise RoutingRefused(f"route {document.label(entry)}: no provider is called {target['provider']!r}")
            known = {name: target[name] for name in _TARGET_COLUMNS}
            provider_id = providers[target["provider"]]
            rows.append(
                Target(route_id=ids[entry["name"], entry["team"]], provider_id=provider_id, position=position, **known)
            )
    Target.objects.bulk_create(rows, batch_size=500)


def _remove_others(table: Document) -> None:
    wanted = {(entry["name"], entry["team"]) for entry in table["routes"]}
    others = [pk for name, team, pk in Route.objects.values_list("name", "team", "id") if (name, team) not in wanted]
    Route.objects.filter(id__in=others).delete()
    Provider.objects.exclude(name__in=_by_name(table["providers"])).delete()
