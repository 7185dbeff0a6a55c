"""The filters of a report: what stands in the URL, read into a Question."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.models import ApiKey, DailyTotal, TagTotal
from accounts.models.ledger import Status
from accounts.reports.question import (
    DIMENSIONS,
    LABELS,
    LONGEST_DAYS,
    NOTHING,
    TAG,
    Question,
    distinct,
    month_before,
    month_of,
)

OTHER = "other"
MOST_MONTHS = 36
EARLIEST, LATEST = 2000, 2200
MOST_TAGS = 300


class DayField(forms.DateField):
    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class CostsForm(forms.Form):
    """Everything is optional: without anything it asks for the current month by team."""

    month = forms.CharField(required=False, widget=forms.Select)
    group = forms.ChoiceField(required=False, label="Grouped by")
    tag = forms.CharField(required=False, widget=forms.Select, max_length=400)

    def __init__(self, data: Any, *, scope: tuple[str, ...] | None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.scope = scope
        self.today = timezone.localdate()
        self.groups = [*LABELS.items(), *((f"{TAG}{name}", name) for name in settings.TAGS)]
        self.fields["group"].choices = self.groups  # type: ignore[attr-defined]
        # `from` is no name for an attribute.
        self.fields |= {"from": DayField(required=False, label="From"), "to": DayField(required=False, label="To")}
        for name in DIMENSIONS:
            self.fields[name] = forms.CharField(required=False, label=LABELS[name], widget=forms.Select, max_length=200)

    def clean_month(self) -> date | None:
        text: str = self.cleaned_data["month"]
        if text in ("", OTHER):
            return None
        try:
            return date.fromisoformat(f"{text}-01")
        except ValueError:
            raise ValidationError("A month looks like 2026-11.") from None

    def clean_tag(self) -> tuple[str, str] | None:
        name, equals, value = self.cleaned_data["tag"].partition("=")
        if equals and not (name and value):
            raise ValidationError("A tag looks like project=checkout.")
        return (name, value) if equals else None

    def clean(self) -> dict[str, Any]:
        clean: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return clean
        clean["first"], clean["last"] = self._period(clean)
        if clean["first"].year < EARLIEST or clean["last"].year > LATEST:
            raise ValidationError(f"A year between {EARLIEST} and {LATEST}, please.")
        if clean["first"] > clean["last"]:
            raise ValidationError("The first day is after the last.")
        if (clean["last"] - clean["first"]).days >= LONGEST_DAYS:
            raise ValidationError(f"At most {LONGEST_DAYS} days at a time.")
        if clean["tag"] and clean["group"].startswith(TAG) and clean["group"] != f"{TAG}{clean['tag'][0]}":
            raise ValidationError("Costs of one tag cannot be grouped by another: totals are kept for each tag alone.")
        return clean

    def _period(self, clean: dict[str, Any]) -> tuple[date, date]:
        if clean["month"]:
            return month_of(clean["month"])
        if not (clean["from"] or clean["to"]):
            return month_of(self.today)
        last = clean["to"] or max(self.today, clean["from"])
        return clean["from"] or last.replace(day=1), last

    @property
    def whole_month(self) -> bool:
        clean = self.cleaned_data
        return bool((clean["first"], clean["last"]) == month_of(clean["first"]))

    @property
    def question(self) -> Question:
        clean = self.cleaned_data
        only = {name: "" if clean[name] == NOTHING else clean[name] for name in DIMENSIONS if clean[name]}
        return Question(clean["first"], clean["last"], self.scope, only, clean["group"] or "team", clean["tag"])

    def offer(self) -> None:
        """Fill the selects with what the period holds; what is chosen already stays on offer."""
        asked = self.question if self.is_valid() else None
        first, last = (asked.first, asked.last) if asked else month_of(self.today)
        everything = Question(first, last, self.scope).totals
        for name in DIMENSIONS:
            values = [value or NOTHING for value in distinct(everything, name)]
            chosen = self.data.get(name, "")
            labels = key_labels(values) if name == "key" else {}
            offered = values if not chosen or chosen in values else [chosen, *values]
            self.fields[name].widget.choices = [
                ("", "All"),
                *((value, labels.get(value, value)) for value in offered),
            ]
        self.fields["tag"].widget.choices = self._tags(first, last)
        self.fields["month"].widget.choices = self._months(first if asked and self.whole_month else None)
        if asked:
            self._show_what_was_meant(asked)

    def _tags(self, first: date, last: date) -> list[tuple[str, str]]:
        rows = TagTotal.objects.filter(day__range=(first, last))
        rows = rows if self.scope is None else rows.filter(team__in=self.scope)
        pairs = rows.order_by("tag", "value").values_list("tag", "value").distinct()[:MOST_TAGS]
        offered = [f"{name}={value}" for name, value in pairs]
        chosen = self.data.get("tag", "")
        offered += [chosen] if chosen and chosen not in offered else []
        return [("", "All"), *((each, each.replace("=", ": ", 1)) for each in offered)]

    def _months(self, shown: date | None) -> list[tuple[str, str]]:
        oldest = DailyTotal.objects.order_by("day").values_list("day", flat=True).first() or self.today
        month, months = self.today.replace(day=1), list[date]()
        while month >= oldest.replace(day=1) and len(months) < MOST_MONTHS:
            months.append(month)
            month = month_before(month)
        if shown is not None:
            months.append(shown)
        choices = [(f"{each:%Y-%m}", f"{each:%B %Y}") for each in sorted(set(months), reverse=True)]
        return [*choices, (OTHER, "Other days")]

    def _show_what_was_meant(self, question: Question) -> None:
        """Put the defaults into the form's fields, so that it says what the figures below it are."""
        meant = dict(self.data.items())
        meant["month"] = f"{question.first:%Y-%m}" if self.whole_month else OTHER
        meant["from"], meant["to"] = question.first.isoformat(), question.last.isoformat()
        meant["group"] = question.group
        self.data = meant


class RecordsForm(CostsForm):
    """The same for single records, which can also be told apart by how they went."""

    STATUSES = (("", "All"), *Status.choices)
    SURE = (("", "All"), ("estimated", "Estimated"), ("unpriced", "Without a price"), ("adjusted", "Adjusted"))

    status = forms.ChoiceField(required=False, choices=STATUSES)
    sure = forms.ChoiceField(required=False, label="Only", choices=SURE)
    after = forms.CharField(required=False, max_length=80, widget=forms.HiddenInput)


def key_labels(ids: Iterable[str]) -> dict[str, str]:
    """Labels of keys by public id. Keys that are gone have none: their id stands for them."""
    rows = ApiKey.objects.filter(id8__in=list(ids)).values_list("id8", "label", "last4")
    return {id8: f"{label} (…{last4})" for id8, label, last4 in rows}
