"""A request for a key on its way: asked, decided by somebody else, revealed once by the one who asked."""

from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from accounts.keys import Minted, matches
from accounts.models import KeyRequest, Membership, Team
from accounts.store.keys import make_key

State = KeyRequest.State


class Refused(Exception):
    """This step is not allowed; the sentence is for the person who tried."""


def submit(
    team: Team,
    requester: User,
    *,
    name: str,
    purpose: str = "",
    models: Sequence[str] = (),
    monthly_budget_nano: int | None = None,
    expires_at: datetime | None = None,
) -> KeyRequest:
    """Ask for a key. No models means all of them, no budget none. Raises Refused."""
    member = Membership.objects.filter(team=team, user=requester).exists()
    if not member and not requester.is_superuser:
        raise Refused(f"You are not a member of {team.name}.")
    if team.disabled:
        raise Refused(f"The team {team.name} is disabled.")
    if not name.strip():
        raise Refused("Give the key a name.")
    _check(models, monthly_budget_nano, expires_at)
    return KeyRequest.objects.create(
        team=team,
        requester=requester,
        name=name.strip(),
        purpose=purpose,
        models=list(models),
        monthly_budget_nano=monthly_budget_nano,
        expires_at=expires_at,
    )


@transaction.atomic
def approve(
    request: KeyRequest,
    by: User,
    *,
    models: Sequence[str],
    monthly_budget_nano: int | None,
    expires_at: datetime | None,
    comment: str = "",
) -> KeyRequest:
    """Grant what was asked for, or less: fewer models, a smaller budget, an earlier end. Raises Refused."""
    request = _locked(request, State.PENDING)
    _not_their_own(request, by)
    _check(models, monthly_budget_nano, expires_at)
    if not _within(models, request.models):
        raise Refused("More models were granted than were asked for.")
    if not _no_more(monthly_budget_nano, request.monthly_budget_nano):
        raise Refused("A larger budget was granted than was asked for.")
    if request.expires_at is not None and (expires_at is None or expires_at > request.expires_at):
        raise Refused("The key would live longer than was asked for.")
    request.granted_models = list(models)
    request.granted_budget_nano = monthly_budget_nano
    request.granted_expires_at = expires_at
    return _decided(request, State.APPROVED, by, comment)


@transaction.atomic
def reject(request: KeyRequest, by: User, *, comment: str) -> KeyRequest:
    """Say no, and why. Raises Refused."""
    request = _locked(request, State.PENDING)
    _not_their_own(request, by)
    if not comment.strip():
        raise Refused("Say why the request is rejected.")
    return _decided(request, State.REJECTED, by, comment)


@transaction.atomic
def withdraw(request: KeyRequest, by: User) -> KeyRequest:
    """Take one's own request back, before the key is revealed. Raises Refused."""
    request = _locked(request, State.PENDING, State.APPROVED)
    if request.requester_id != by.pk:
        raise Refused("Only the one who asked can withdraw the request.")
    request.state = State.WITHDRAWN
    request.save()
    return request


@transaction.atomic
def reveal(request: KeyRequest, by: User) -> Minted:
    """Make the key and return its text, the only time there is. Raises Refused, also the second time."""
    request = _locked(request, State.APPROVED)
    if request.requester_id != by.pk:
        raise Refused("Only the one who asked can see the key.")
    if request.granted_expires_at is not None and request.granted_expires_at <= timezone.now():
        raise Refused("The approval has expired. Ask again.")
    if request.team.disabled:
        raise Refused(f"The team {request.team.name} is disabled.")
    request.key, minted = make_key(
        request.team,
        request.name,
        owner=by.get_username(),
        models=request.granted_models,
        monthly_budget_nano=request.granted_budget_nano,
        expires_at=request.granted_expires_at,
        by=by.get_username(),
    )
    request.state = State.REVEALED
    request.save()
    return minted


def _locked(request: KeyRequest, *states: KeyRequest.State) -> KeyRequest:
    """Read the request again under a lock, so that of two people who decide at once only one does."""
    fresh = KeyRequest.objects.select_for_update().select_related(None).get(pk=request.pk)
    if fresh.state not in states:
        raise Refused(f"The request is {fresh.state} already.")
    return fresh


def _decided(request: KeyRequest, state: KeyRequest.State, by: User, comment: str) -> KeyRequest:
    request.state, request.decided_by, request.decided_at = state, by, timezone.now()
    request.comment = comment.strip()
    request.save()
    return request


def _not_their_own(request: KeyRequest, by: User) -> None:
    if request.requester_id == by.pk:
        raise Refused("Nobody decides on their own request.")


def _check(models: Sequence[str], budget: int | None, expires_at: datetime | None) -> None:
    for model in models:
        if not model or model != model.strip() or model.count("*") > 1:
            raise Refused(f"{model[:80]!r} is neither a model's name nor a pattern with one *.")
    if budget is not None and budget < 0:
        raise Refused("A budget cannot be below zero.")
    if expires_at is not None and expires_at <= timezone.now():
        raise Refused("The key would have expired already.")


def _within(granted: Sequence[str], asked: Sequence[str]) -> bool:
    # An empty list stands for all models.
    if not asked:
        return True
    return bool(granted) and all(any(matches(wider, each) for wider in asked) for each in granted)


def _no_more(granted: int | None, asked: int | None) -> bool:
    return asked is None or (granted is not None and granted <= asked)
