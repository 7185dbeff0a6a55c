"""The simulator and the replays in the admin. Nothing here calls a provider or changes the routing table."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from accounts.models import Team
from accounts.money import usd
from qlite_site.models import Replay
from qlite_site.simulate import runs, tables
from qlite_site.simulate.decision import decided
from qlite_site.simulate.forms import DRAFT, WINDOWS, ReplayForm, SimulatorForm
from qlite_site.simulate.replay import Tally
from routing.store import RoutingRefused

SHOWN_MOVES = 30
LATEST = 10


def simulator(request: HttpRequest) -> HttpResponse:
    """GET with the request's features in the address, so that an answer can be linked; `format=json` for programs."""
    _may_look(request)
    form = SimulatorForm.of(request.GET.dict())
    said = _decided(form) if form.is_bound and form.is_valid() else None
    if request.GET.get("format") == "json":
        return JsonResponse(said or {"errors": form.errors}, status=200 if said else 400)
    table = tables.serving()
    teams = list(Team.objects.values_list("name", flat=True))
    context = {"form": form, "said": said, "teams": teams, "models": table.names()[:1000]}
    return _page(request, "simulator", "Simulator", context)


def replays(request: HttpRequest) -> HttpResponse:
    """The latest replays, and the form that starts one."""
    _may_look(request)
    if request.method == "POST":
        _may(request, "add")
        return _start(request)
    latest = list(Replay.objects.defer("serving", "draft").all()[:LATEST])
    return _page(request, "replays", "Replays", {"form": ReplayForm(), "runs": latest, "may": _holds(request, "add")})


def replay(request: HttpRequest, pk: int) -> HttpResponse:
    """One replay: progress while it runs, then what would change."""
    _may_look(request)
    run = get_object_or_404(Replay.objects.defer("serving", "draft"), pk=pk)
    runs.settle_silent(run)
    return _page(request, "replay", f"Replay {run.pk}", {"run": run, "may": _holds(request, "change"), **found(run)})


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    _may_look(request)
    _may(request, "change")
    runs.cancel(get_object_or_404(Replay, pk=pk))
    return HttpResponseRedirect(reverse("replay", args=[pk]))


def found(run: Replay) -> dict[str, Any]:
    """What the page shows of a tally: shares, moves with bars, amounts as USD."""
    tally = Tally.of(run.tally)
    most = max([*tally.moves.values(), 1])
    moves = [
        {"start": start, "end": end, "count": count, "width": round(100 * count / most, 1)}
        for (start, end), count in tally.moves.most_common(SHOWN_MOVES)
    ]
    highest = max(tally.cost_before, tally.cost_after, 1)
    costs = [
        {"name": name, "amount": f"${usd(nano, places=4)}", "width": round(100 * nano / highest, 1)}
        for name, nano in (("what serves", tally.cost_before), ("the draft", tally.cost_after))
    ]
    change = tally.cost_after - tally.cost_before
    return {
        "tally": tally,
        "moves": moves,
        "more": len(tally.moves) - len(moves),
        "costs": costs,
        "change": f"{'-' if change < 0 else '+'}${usd(abs(change), places=4)}",
        "percent": round(100 * tally.seen / run.size) if run.size else 100,
        "share": f"{100 * tally.moved / tally.seen:.1f} %" if tally.seen else "none",
        "running": run.state == Replay.State.RUNNING,
    }


def _decided(form: SimulatorForm) -> dict[str, Any] | None:
    try:
        table = tables.draft() if form.cleaned_data["table"] == DRAFT else tables.serving()
    except RoutingRefused as error:
        form.add_error("table", str(error))
        return None
    return decided(form.request, table, tables.outlook())


def _start(request: HttpRequest) -> HttpResponse:
    form = ReplayForm(request.POST)
    if not form.is_valid():
        messages.error(request, "A replay needs a window and a size.")
        return HttpResponseRedirect(reverse("replays"))
    try:
        run = runs.start(request.user.get_username(), WINDOWS[form.cleaned_data["window"]], form.cleaned_data["size"])
    except RoutingRefused as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(reverse("replays"))
    return HttpResponseRedirect(reverse("replay", args=[run.pk]))


def _may_look(request: HttpRequest) -> None:
    if not request.user.has_perm("routing.view_revision"):
        raise PermissionDenied


def _may(request: HttpRequest, verb: str) -> None:
    """A replay takes its share of a process that serves calls: to look is not enough."""
    if not _holds(request, verb):
        raise PermissionDenied


def _holds(request: HttpRequest, verb: str) -> bool:
    return bool(request.user.has_perm(f"qlite_site.{verb}_replay"))


def _page(request: HttpRequest, name: str, title: str, context: dict[str, Any]) -> HttpResponse:
    everywhere = admin.site.each_context(request)
    return TemplateResponse(request, f"admin/routing/{name}.html", {**everywhere, "title": title, **context})


def urls() -> list[URLPattern]:
    wrap = admin.site.admin_view
    return [
        path("admin/routing/simulator/", wrap(simulator), name="simulator"),
        path("admin/routing/replays/", wrap(replays), name="replays"),
        path("admin/routing/replays/<int:pk>/", wrap(replay), name="replay"),
        path("admin/routing/replays/<int:pk>/cancel/", wrap(cancel), name="replay_cancel"),
    ]
