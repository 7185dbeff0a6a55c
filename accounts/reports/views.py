"""The cost reports: figures of a period, the records behind them, and both as CSV."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from accounts.models import RequestRecord
from accounts.portal.viewer import Viewer, page, show
from accounts.prices import UNITS
from accounts.reports import exports, figures, records
from accounts.reports.forms import CostsForm, RecordsForm, key_labels
from accounts.reports.question import DIMENSIONS, NOTHING, TAG, Question, label, month_before, month_of
from accounts.store.adjust import standing


@require_safe
@page
def costs(request: HttpRequest, who: Viewer) -> HttpResponse:
    form = CostsForm(request.GET, scope=scope(who))
    # htmx swaps the report alone; the rest of the page stays.
    template = "reports/report.html" if request.htmx else "reports/costs.html"  # type: ignore[attr-defined]
    form.offer()
    if not form.is_valid():
        return show(request, who, template, {"section": "reports", "form": form}, status=400)
    query = query_of(form, form.question)
    response = show(request, who, template, {"section": "reports", "form": form, **answer(form, query)})
    patch_vary_headers(response, ["HX-Request"])
    response["HX-Push-Url"] = f"?{urlencode(query)}"
    return response


def answer(form: CostsForm, query: dict[str, str]) -> dict[str, Any]:
    question = form.question
    table = figures.shown(figures.rows(question))
    labels = labels_for(question, table)
    return {
        "question": question,
        "whole": figures.whole(question),
        "before": before(form, question),
        "earlier": month_before(question.first),
        "rows": [
            {"row": row, "label": labels.get(row.value, row.value), "query": urlencode(narrowed(query, row.value))}
            for row in table
        ],
        "chart": figures.chart(question, table, labels),
        "gone": question.gone,
        "group_label": label(question.group),
        "groups": [(name, shown, urlencode(query | {"group": name})) for name, shown in form.groups],
        "query": urlencode(query),
    }


@require_safe
@page
def costs_csv(request: HttpRequest, who: Viewer) -> HttpResponseBase:
    question = asked(CostsForm(request.GET, scope=scope(who)))
    table = list(figures.rows(question))
    lines = exports.summary(question, table, labels_for(question, table))
    return exports.response(lines, f"qlite-costs-by-{question.group}-{question.first}-{question.last}.csv")


@require_safe
@page
def record_list(request: HttpRequest, who: Viewer) -> HttpResponse:
    form = RecordsForm(request.GET, scope=scope(who))
    form.offer()
    if not form.is_valid():
        return show(request, who, "reports/records.html", {"section": "reports", "form": form}, status=400)
    question, clean = form.question, form.cleaned_data
    try:
        found, after = records.newest(records.of(question, status=clean["status"], sure=clean["sure"]), clean["after"])
    except ValueError as error:
        raise BadRequest(str(error)) from error
    query = query_of(form, question) | {name: clean[name] for name in ("status", "sure") if clean[name]}
    context = {
        "section": "reports",
        "form": form,
        "question": question,
        "lines": records.lines(question, found),
        "gone": question.gone,
        "later": urlencode(query | {"after": after}) if after else "",
        "first": bool(clean["after"]),
        "whole": None if clean["status"] or clean["sure"] else figures.whole(question),
        "query": urlencode(query),
    }
    return show(request, who, "reports/records.html", context)


@require_safe
@page
def records_csv(request: HttpRequest, who: Viewer) -> HttpResponseBase:
    form = RecordsForm(request.GET, scope=scope(who))
    question = asked(form)
    batches = records.batches(question, status=form.cleaned_data["status"], sure=form.cleaned_data["sure"])
    return exports.response(exports.records(batches), f"qlite-records-{question.first}-{question.last}.csv")


@require_safe
@page
def record(request: HttpRequest, who: Viewer, pk: UUID) -> HttpResponse:
    found = RequestRecord.objects.filter(pk=str(pk)).prefetch_related(records.IN_ORDER, "attempts").first()
    # Records of other teams are not there, unless a correction has made this team pay.
    if found is None or not records.lines(Question(found.day, found.day, scope(who)), [found]):
        raise Http404
    line = records.whole(found)
    context = {
        "section": "reports",
        "record": found,
        "line": line,
        "stands": standing(found),
        "units": units(found),
        "attempts": [(each, priced_units(each)) for each in found.attempts.all()],
        "adjustments": [each for each in line.postings if each.adjustment],
    }
    return show(request, who, "reports/record.html", context)


def scope(who: Viewer) -> tuple[str, ...] | None:
    return None if who.audits else who.team_names


def asked(form: CostsForm) -> Question:
    if not form.is_valid():
        raise BadRequest("The filters in the address make no sense.")
    return form.question


def before(form: CostsForm, question: Question) -> figures.Sums | None:
    """The same for the month before; None where the period is no whole month."""
    if not form.whole_month:
        return None
    first, last = month_of(month_before(question.first))
    return figures.whole(replace(question, first=first, last=last))


def labels_for(question: Question, table: list[figures.Row]) -> dict[str, str]:
    return key_labels(row.value for row in table) if question.group == "key" else {}


def query_of(form: CostsForm, question: Question) -> dict[str, str]:
    """The filters in force, as they stand in an address."""
    period = (
        {"month": f"{question.first:%Y-%m}"}
        if form.whole_month
        else {"from": question.first.isoformat(), "to": question.last.isoformat()}
    )
    chosen = {name: form.cleaned_data[name] for name in DIMENSIONS if form.cleaned_data[name]}
    tag = {"tag": "=".join(question.tag)} if question.tag else {}
    return period | chosen | tag | {"group": question.group}


def narrowed(query: dict[str, str], value: str) -> dict[str, str]:
    """The filters that leave one group of the table only; none where no filter can say it."""
    if query["group"].startswith(TAG):
        return {} if value == NOTHING else query | {"tag": f"{query['group'].removeprefix(TAG)}={value}"}
    if query["group"] != "day":
        return query | {query["group"]: value}
    return {name: each for name, each in query.items() if name != "month"} | {"from": value, "to": value}


def priced_units(attempt: Any) -> list[tuple[str, int, int | None]]:
    """The same with what each class cost in nano-USD, None where that is not known."""
    return [(name, count, attempt.amounts.get(name.replace(" ", "_"))) for name, count in units(attempt)]


def units(row: Any) -> list[tuple[str, int]]:
    """The classes of units that were used, with a name for people."""
    used: Mapping[str, int] = {name: getattr(row, name) for name in UNITS}
    return [(name.replace("_", " "), count) for name, count in used.items() if count]
