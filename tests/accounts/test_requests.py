from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from accounts.keys import fingerprint, well_formed
from accounts.models import ApiKey, KeyRequest, Membership, Team
from accounts.store import requests
from accounts.store.keys import load_keys
from accounts.store.requests import Refused

pytestmark = pytest.mark.django_db
SOON = timezone.now() + timedelta(days=30)
LATER = SOON + timedelta(days=30)


@pytest.fixture
def ann() -> User:
    user = User.objects.create_user("ann")
    Membership.objects.create(team=Team.objects.create(name="red"), user=user)
    return user


@pytest.fixture
def ops() -> User:
    return User.objects.create_user("ops")


@pytest.fixture
def asked(ann: User) -> KeyRequest:
    return submit(ann, models=["gpt-*", "o3"], monthly_budget_nano=100, expires_at=SOON)


def submit(user: User, **changes: Any) -> KeyRequest:
    return requests.submit(Team.objects.get(name="red"), user, **{"name": "bot", "purpose": "tests", **changes})


def approve(request: KeyRequest, by: User, **changes: Any) -> KeyRequest:
    granted = {"models": request.models, "monthly_budget_nano": request.monthly_budget_nano}
    return requests.approve(request, by, **{**granted, "expires_at": request.expires_at, **changes})


def test_it_goes_from_a_request_to_a_working_key(asked: KeyRequest, ann: User, ops: User) -> None:
    approve(asked, ops, models=["gpt-4*"], monthly_budget_nano=50, comment="start small")
    assert ApiKey.objects.count() == 0
    minted = requests.reveal(asked, ann)
    asked.refresh_from_db()
    assert (asked.state, asked.decided_by, asked.comment) == ("revealed", ops, "start small")
    key = ApiKey.objects.get()
    assert asked.key == key
    assert well_formed(minted.text)
    assert (key.digest, key.id8, key.last4) == (fingerprint(minted.text), minted.id, minted.last4)
    assert (key.label, key.owner, key.created_by, key.models) == ("bot", "ann", "ann", ["gpt-4*"])
    assert (key.monthly_budget_nano, key.expires_at) == (50, SOON)
    assert load_keys()[minted.digest].models == ("gpt-4*",)


def test_it_keeps_the_secret_nowhere(asked: KeyRequest, ann: User, ops: User) -> None:
    approve(asked, ops)
    secret = requests.reveal(asked, ann).text[14:46]
    rows = [*ApiKey.objects.values(), *KeyRequest.objects.values()]
    assert secret not in repr(rows)


def test_it_reveals_a_key_once_and_only_to_the_one_who_asked(asked: KeyRequest, ann: User, ops: User) -> None:
    with pytest.raises(Refused, match="pending"):
        requests.reveal(asked, ann)
    approve(asked, ops)
    with pytest.raises(Refused, match="Only the one who asked"):
        requests.reveal(asked, ops)
    requests.reveal(asked, ann)
    with pytest.raises(Refused, match="revealed"):
        requests.reveal(asked, ann)
    assert ApiKey.objects.count() == 1


def test_it_lets_nobody_decide_on_their_own_request(asked: KeyRequest, ann: User) -> None:
    ann.is_superuser = True
    ann.save()
    with pytest.raises(Refused, match="Nobody"):
        approve(asked, ann)
    with pytest.raises(Refused, match="Nobody"):
        requests.reject(asked, ann, comment="no")
    asked.refresh_from_db()
    assert asked.state == "pending"


@pytest.mark.parametrize(
    "more",
    [
        {"models": []},
        {"models": ["*"]},
        {"models": ["gpt-4", "claude"]},
        {"models": ["o3*"]},
        {"monthly_budget_nano": 101},
        {"monthly_budget_nano": None},
        {"monthly_budget_nano": -1},
        {"expires_at": LATER},
        {"expires_at": None},
        {"expires_at": timezone.now() - timedelta(days=1)},
    ],
)
def test_it_never_grants_more_than_was_asked_for(asked: KeyRequest, ops: User, more: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        approve(asked, ops, **more)
    asked.refresh_from_db()
    assert asked.state == "pending"


def test_it_may_grant_anything_where_all_was_asked_for(ann: User, ops: User) -> None:
    granted = approve(submit(ann), ops, models=["o3"], monthly_budget_nano=5, expires_at=SOON)
    assert (granted.granted_models, granted.granted_budget_nano, granted.granted_expires_at) == (["o3"], 5, SOON)
    assert approve(submit(ann), ops).granted_models == []


def test_it_wants_a_reason_for_a_rejection(asked: KeyRequest, ops: User, ann: User) -> None:
    with pytest.raises(Refused, match="why"):
        requests.reject(asked, ops, comment=" ")
    assert requests.reject(asked, ops, comment="too much").state == "rejected"
    with pytest.raises(Refused, match="rejected already"):
        approve(asked, ops)
    with pytest.raises(Refused, match="rejected already"):
        requests.withdraw(asked, ann)


def test_it_lets_a_request_be_taken_back_by_its_owner(asked: KeyRequest, ann: User, ops: User) -> None:
    with pytest.raises(Refused, match="Only the one who asked"):
        requests.withdraw(asked, ops)
    approve(asked, ops)
    assert requests.withdraw(asked, ann).state == "withdrawn"
    with pytest.raises(Refused, match="withdrawn"):
        requests.reveal(asked, ann)


def test_it_makes_no_key_for_a_disabled_team_or_past_its_end(asked: KeyRequest, ann: User, ops: User) -> None:
    approve(asked, ops)
    KeyRequest.objects.update(granted_expires_at=timezone.now())
    with pytest.raises(Refused, match="expired"):
        requests.reveal(asked, ann)
    KeyRequest.objects.update(granted_expires_at=None)
    Team.objects.update(disabled=True)
    with pytest.raises(Refused, match="disabled"):
        requests.reveal(asked, ann)
    with pytest.raises(Refused, match="disabled"):
        submit(ann)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"name": "  "}, "name"),
        ({"models": ["a*b*"]}, "one"),
        ({"models": [" a"]}, "one"),
        ({"monthly_budget_nano": -1}, "below zero"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "expired"),
    ],
)
def test_it_refuses_a_request_that_makes_no_sense(ann: User, wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        submit(ann, **wrong)


def test_it_takes_requests_from_members_only(ann: User, ops: User) -> None:
    with pytest.raises(Refused, match="not a member"):
        submit(ops)
    ops.is_superuser = True
    assert submit(ops).state == "pending"


def test_it_decides_by_what_stands_in_the_database(asked: KeyRequest, ann: User, ops: User) -> None:
    stale = KeyRequest(pk=asked.pk, team=asked.team, requester=ops, models=[])
    with pytest.raises(Refused, match="Nobody"):
        requests.approve(stale, ann, models=[], monthly_budget_nano=None, expires_at=None)
