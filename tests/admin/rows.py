"""Rows for the admin's tests: one of everything, and hostile text for each place that text can come from."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from accounts.models import (
    Adjustment,
    ApiKey,
    AttemptRecord,
    Budget,
    BudgetAlert,
    DailyTotal,
    KeyRequest,
    LedgerQuarantine,
    Membership,
    Price,
    RequestRecord,
    Team,
)
from accounts.store.keys import make_key
from accounts.store.roles import ensure_roles
from proxy.models import CacheEntry
from routing.models import Provider, Route, Target

HOSTILE = """<script>alert(1)</script>"><img src=x onerror=alert(2)>{{7*7}}'"""
ANSWER = '{"object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": "4"}}]}'


def root() -> User:
    return User.objects.create_superuser("root")


def person(name: str, role: str = "", *, staff: bool = True, password: str | None = None) -> User:
    ensure_roles()
    user = User.objects.create_user(name, password=password, is_staff=staff)  # without one it need not be hashed
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def provider(name: str = "mock", **values: Any) -> Provider:
    values = {"kind": "openai-compatible", "base_url": "https://llm.example.com/v1", **values}
    return Provider.objects.create(name=name, **values)


def route(name: str, *targets: Provider, **values: Any) -> Route:
    made = Route.objects.create(name=name, **values)
    for position, each in enumerate(targets):
        Target.objects.create(route=made, provider=each, position=position)
    return made


def team(name: str = "search", **values: Any) -> Team:
    return Team.objects.create(name=name, **values)


def key(of: Team, label: str = "crawler", **values: Any) -> ApiKey:
    return make_key(of, label, **values)[0]


def asked(of: Team, by: User, **values: Any) -> KeyRequest:
    return KeyRequest.objects.create(
        team=of,
        requester=by,
        **{"name": "new bot", "models": ["gpt-4o"], "monthly_budget_nano": 5_000_000_000} | values,
    )


def price(model: str = "gpt-4o", **values: Any) -> Price:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    return Price.objects.create(
        model=model, **{"effective_from": when, "input": 2_500_000_000, "output": 10_000_000_000} | values
    )


def record(id: str = "0199-0001", **values: Any) -> RequestRecord:
    now = timezone.now()
    known = {
        "at": now,
        "day": timezone.localdate(now),
        "status": "settled",
        "surface": "chat",
        "team": "search",
        "cost_centre": "cc-1",
        "owner": "ann",
        "key_id": "AbCd1234",
        "key_label": "crawler",
        "model_asked": "gpt-4o",
        "provider": "mock",
        "model": "gpt-4o",
        "input": 1200,
        "output": 80,
        "usage_source": "provider",
        "cost_status": "priced",
        "cost_nano": 3_800_000,
        "latency_us": 812_345,
    }
    made = RequestRecord.objects.create(id=id, **known | values)
    AttemptRecord.objects.create(
        request=made,
        number=1,
        provider=made.provider,
        model=made.model,
        target=f"{made.provider}/{made.model}",
        status="settled",
        error=made.error,
        started_at=now,
        input=made.input,
        output=made.output,
        usage_source="provider",
        cost_status="priced",
        cost_nano=made.cost_nano,
    )
    return made


def entry(key: str = "ab" * 32, **values: Any) -> CacheEntry:
    now = timezone.now()
    known = {
        "team": "search",
        "model": "gpt-4o",
        "route": "gpt-4o",
        "provider": "mock",
        "served_model": "gpt-4o-2024",
        "answer": ANSWER,
        "usage": {"input": 3, "output": 1},
        "bytes": len(ANSWER),
        "hits": 7,
        "origin": "process-1",
        "created_at": now,
        "updated_at": now - timedelta(hours=1),
        "expires_at": now + timedelta(hours=1),
    }
    return CacheEntry.objects.create(key=key, **known | values)


def one_of_everything(text: str = "plain") -> dict[str, Any]:
    """A row of each kind, with `text` wherever somebody else's text may stand. By admin URL name."""
    ops, ann = person("ops-olga", "ops"), person("ann", staff=False)
    mock = provider(note=text)
    search = team(title=text, owner=text, cost_centre=text[:64])
    Membership.objects.create(team=search, user=ann)
    held = record(error=text, owner=text, key_label=text, model_asked=text, model=text, tags={text: text})
    day = timezone.localdate()
    budget = Budget.objects.create(team=search, route=text[:200], amount_nano=10**9, note=text, created_by=text)
    alert = {"first": day, "percent": 80, "spent_nano": 8 * 10**8, "amount_nano": 10**9, "due_at": timezone.now()}
    return {
        "routing_provider": mock,
        "routing_route": route("gpt-4o", mock, description=text),
        "accounts_team": search,
        "accounts_apikey": key(search, text, owner=text, models=[text]),
        "accounts_keyrequest": asked(search, ann, name=text, purpose=text, models=[text]),
        "accounts_budget": budget,
        "accounts_budgetalert": BudgetAlert.objects.create(budget=budget, trouble=text[:200], **alert),
        "accounts_price": price(source=text, note=text, model=text),
        "accounts_requestrecord": held,
        "accounts_adjustment": Adjustment.objects.create(
            request=held, day=day, author=text, reason=text, cost_nano_delta=-1, external_ref=text, owner=text
        ),
        "accounts_dailytotal": DailyTotal.objects.create(
            day=day, team="search", model=text, provider="mock", unpriced=1
        ),
        "accounts_ledgerquarantine": LedgerQuarantine.objects.create(raw=text, error=text, request_id="0199-0002"),
        "proxy_cacheentry": entry(model=text, note=text, served_model=text),
        "auth_user": ops,
        "auth_group": ops.groups.get(),
    }
