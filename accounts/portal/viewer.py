"""Who is looking at a page, and what they may see of it. Decided once a request."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRefresh

from accounts.models import ApiKey, KeyRequest, Team

P = ParamSpec("P")
OPS, FINANCE = "ops", "finance"


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in person: the teams they are in, and whether their work is all keys or all costs."""

    user: User
    team_ids: tuple[int, ...]
    team_names: tuple[str, ...]
    approves: bool
    audits: bool

    @property
    def teams(self) -> QuerySet[Team]:
        """Teams they may ask for keys of: their own, for a superuser any; disabled ones left out."""
        working = Team.objects.filter(disabled=False)
        return working if self.user.is_superuser else working.filter(pk__in=self.team_ids)

    @property
    def keys(self) -> QuerySet[ApiKey]:
        every = ApiKey.objects.select_related("team").prefetch_related("budgets")
        return every if self.approves else every.filter(team__in=self.team_ids)

    @property
    def requests(self) -> QuerySet[KeyRequest]:
        every = KeyRequest.objects.select_related("team", "requester", "decided_by", "key")
        return every if self.approves else every.filter(requester=self.user)

    @property
    def waiting(self) -> int:
        """How many requests wait for a decision of theirs. Nobody decides on their own."""
        if not self.approves:
            return 0
        return KeyRequest.objects.filter(state=KeyRequest.State.PENDING).exclude(requester=self.user).count()


def viewer(user: User) -> Viewer:
    groups = set(user.groups.values_list("name", flat=True))
    teams = list(Team.objects.filter(memberships__user=user).values_list("id", "name"))
    return Viewer(
        user=user,
        team_ids=tuple(pk for pk, _ in teams),
        team_names=tuple(name for _, name in teams),
        approves=user.is_superuser or OPS in groups,
        audits=user.is_superuser or FINANCE in groups,
    )


def page(
    view: Callable[Concatenate[HttpRequest, Viewer, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Let only signed-in people in, tell the view who it is, and keep the answer out of every cache."""

    @login_required
    def let_in(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        return view(request, viewer(request.user), *args, **kwargs)  # type: ignore[arg-type]

    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if request.htmx and not request.user.is_authenticated:  # type: ignore[attr-defined]
            # The session has ended: have the browser load the page anew, and so meet the sign-in.
            return HttpResponseClientRefresh()
        return let_in(request, *args, **kwargs)

    update_wrapper(guarded, view)
    return never_cache(guarded)


def show(
    request: HttpRequest, who: Viewer, template: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Render a page with what every page needs around it."""
    around = {"viewer": who, "waiting": who.waiting, "zone": settings.TIME_ZONE}
    return render(request, template, around | context, status=status)
