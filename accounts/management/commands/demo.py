"""`qlite demo`: two invented teams and 30 days of their traffic, clearly marked, for looking around."""

import secrets
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts import demo, keys
from accounts.ledger.entry import Entry, to_json
from accounts.ledger.pricing import pricing
from accounts.models import ApiKey, KeyRequest, Membership, RequestRecord, Team
from accounts.money import NANO_PER_USD
from accounts.store.adjust import adjust
from accounts.store.budgets import set_monthly
from accounts.store.ledger import BATCH, known, save_entries
from accounts.store.pricelists import seed
from accounts.store.prices import load_book
from accounts.store.requests import submit

AUTHOR = "demo"
TITLES = {"demo-research": "Demo: research", "demo-support": "Demo: support"}


class Command(BaseCommand):
    help = "Add two demo teams and 30 days of invented traffic. Run again, it adds nothing."

    def handle(self, *args: Any, **options: Any) -> str:
        taken = Team.objects.filter(name__in=TITLES).exclude(cost_centre=demo.COST_CENTRE).first()
        if taken is not None:
            raise CommandError(f"There is a team {taken.name} already, and it is not of the demo. Nothing was added.")
        seed()
        teams = {name: self._team(name) for name in TITLES}
        # The end of the 30 days stays where it was the first time, so that a second run makes the same requests.
        until = min(team.created_at for team in teams.values()).replace(minute=0, second=0, microsecond=0).timestamp()
        added = self._save(demo.traffic(until, pricing(load_book())))
        for caller in demo.CALLERS:
            self._key(caller, teams[caller.team])
        self._corrections()
        self._request(teams["demo-support"])
        made = f"Added {added} invented requests of the teams {' and '.join(TITLES)}."
        return f"{made} See /reports/ and /keys/, which `make run` serves."

    def _team(self, name: str) -> Team:
        made = {"title": TITLES[name], "cost_centre": demo.COST_CENTRE, "owner": "demo"}
        return Team.objects.get_or_create(name=name, defaults=made)[0]

    def _save(self, traffic: Iterator[Entry]) -> int:
        added = 0
        while batch := list(islice(traffic, BATCH)):
            there = known([entry.id for entry in batch])
            fresh = [to_json(entry) for entry in batch if entry.id not in there]
            save_entries(fresh)
            added += len(fresh)
        return added

    def _key(self, caller: demo.Caller, team: Team) -> None:
        """A key that nobody can use: its text is thrown away here."""
        text = secrets.token_urlsafe(32)
        made = {
            "digest": keys.fingerprint(text),
            "last4": "demo",
            "team": team,
            "label": caller.label,
            "owner": caller.owner,
            "models": sorted({served.model for served in caller.models}),
            "created_by": AUTHOR,
            "last_used_at": RequestRecord.objects.filter(key_id=caller.key_id).values_list("at", flat=True).first(),
        }
        key, new = ApiKey.objects.get_or_create(id8=caller.key_id, defaults=made)
        if new:
            set_monthly(key, caller.budget_usd * NANO_PER_USD, by=AUTHOR)

    def _corrections(self) -> None:
        """Two corrections, so that there is something to see of how they are booked."""
        rows = RequestRecord.objects.filter(team="demo-research", key_id="demoNote", status="settled", cost_nano__gt=0)
        dearest = list(rows.order_by("-cost_nano", "id")[:2])
        if len(dearest) == 2:
            refund, moved = dearest
            adjust(refund, author=AUTHOR, reason="The provider took it back.", cost_nano=0, external_ref="demo-refund")
            why = "Ran for support, with the key of research."
            adjust(moved, author=AUTHOR, reason=why, team="demo-support", external_ref="demo-moved")

    def _request(self, team: Team) -> None:
        """Somebody who cannot sign in waits for a key, so that there is something to approve."""
        person = User.objects.filter(username="demo-ben").first() or User.objects.create_user("demo-ben")
        Membership.objects.get_or_create(team=team, user=person)
        if not KeyRequest.objects.filter(requester=person).exists():
            submit(
                team,
                person,
                name="knowledge base search",
                purpose="Demo: rewrites questions before they are looked up in the knowledge base.",
                models=["gpt-5.4-mini", "gpt-5.4-nano"],
                monthly_budget_nano=40 * NANO_PER_USD,
                expires_at=timezone.now() + timedelta(days=180),
            )
