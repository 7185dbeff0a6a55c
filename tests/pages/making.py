"""People, teams and rows for the tests of the pages."""

import csv
import io
from dataclasses import dataclass, field
from datetime import datetime
from html.parser import HTMLParser
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group, User
from django.http.response import HttpResponseBase
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, KeyRequest, Membership, RequestRecord, Team
from accounts.money import nano
from accounts.store import requests
from accounts.store.keys import make_key
from accounts.store.ledger import save_entries
from tests.accounts.making import attempt, entry, raw


def person(name: str, *, team: Team | None = None, group: str = "", **facts: Any) -> User:
    user = User.objects.create_user(name, **facts)  # no password: hashing takes its time
    if team:
        Membership.objects.create(team=team, user=user)
    if group:
        user.groups.add(Group.objects.get_or_create(name=group)[0])
    return user


def signed_in(user: User | None, **facts: Any) -> Client:
    client = Client(**facts)
    if user:
        client.force_login(user)
    return client


@dataclass
class House:
    """Two teams with a key, a pending request and a record each, and somebody of every sort."""

    teams: dict[str, Team] = field(default_factory=dict)
    keys: dict[str, ApiKey] = field(default_factory=dict)
    requests: dict[str, KeyRequest] = field(default_factory=dict)
    records: dict[str, RequestRecord] = field(default_factory=dict)
    people: dict[str, User | None] = field(default_factory=dict)

    def client(self, who: str) -> Client:
        return signed_in(self.people[who])


def house() -> House:
    made = House()
    for name, owner in (("red", "member"), ("blue", "other")):
        team = made.teams[name] = Team.objects.create(name=name, cost_centre=f"cc-{name}")
        user = made.people[owner] = person(owner, team=team)
        made.keys[name], _ = make_key(team, f"{name} key", owner=owner)
        made.requests[name] = requests.submit(team, user, name=f"{name} wish", purpose="tests", models=["stub"])
        made.records[name] = spend(name, key_id=made.keys[name].id8, key_label=f"{name} key")
    made.people |= {
        "anonymous": None,
        "ops": person("ops", group="ops"),
        "finance": person("finance", group="finance"),
        "staff": person("staff", is_staff=True),
        "superuser": person("superuser", is_staff=True, is_superuser=True),
    }
    return made


def spend(team: str, *, at: datetime | None = None, cost: int = 1_234_567, **facts: Any) -> RequestRecord:
    """Save one settled record of today, or of `at`, the way the gateway does."""
    moment = (at or timezone.now()).timestamp()
    called = {name: facts.pop(name) for name in ("provider", "model", "error") if name in facts}
    tried = attempt(cost_nano=cost, started_at=moment, **called)
    made = entry(tried, at=moment, team=team, cost_centre=f"cc-{team}", **facts)
    save_entries(raw(made))
    return RequestRecord.objects.get(pk=made.id)


def text_of(response: HttpResponseBase) -> str:
    """The whole body, also of what is streamed, read on this thread so that it sees this test's transaction."""
    if not response.streaming:
        return response.content.decode()

    async def collect() -> bytes:
        return b"".join([part async for part in response.streaming_content])

    return async_to_sync(collect)().decode()


def lines_of(response: HttpResponseBase) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text_of(response))))


class _Rows(HTMLParser):
    """The texts of a table's cells, and of one element by its id."""

    def __init__(self, id: str) -> None:
        super().__init__()
        self.id, self.tag, self.depth, self.rows, self.text = id, "", 0, [], ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if dict(attrs).get("id") == self.id:
            self.tag, self.depth = tag, 1
        elif self.depth and tag == self.tag:
            self.depth += 1
        if self.depth and tag == "tr":
            self.rows.append([])
        elif self.depth and tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if self.depth and tag == self.tag:
            self.depth -= 1

    def handle_data(self, data: str) -> None:
        if self.depth:
            self.text += data
            if self.rows and self.rows[-1]:
                self.rows[-1][-1] += data


def table_of(page: str, id: str) -> list[dict[str, str]]:
    """A table's body and foot, by the headings of its columns."""
    found = _Rows(id)
    found.feed(page)
    head, *body = [[cell.strip() for cell in row] for row in found.rows]
    # Cells of a foot may span columns: then only what is before them can be told apart.
    return [dict(zip(head, row, strict=False)) for row in body]


def amount_of(page: str, id: str = "total") -> int:
    found = _Rows(id)
    found.feed(page)
    return dollars(found.text)


def dollars(text: str) -> int:
    """Nano-USD from what a page says, such as `-$1,234.567890123`; — is nothing."""
    plain = text.strip().replace("$", "").replace(",", "").lstrip("+")
    return 0 if plain == "—" else nano(plain, signed=True)


class _Addresses(HTMLParser):
    NAMES = frozenset({"src", "href", "action", "formaction", "hx-get", "poster", "data", "srcset", "xlink:href"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in self.NAMES]


def addresses(page: str) -> list[str]:
    """Everything a browser would load or lead to."""
    found = _Addresses()
    found.feed(page)
    assert len(found.found) >= 2
    return found.found
