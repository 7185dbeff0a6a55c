"""The form that corrects a request record: it shows where the record stands and books what was changed, and why."""

from typing import Any

from django import forms

from accounts.admin.base import ModelForm
from accounts.admin.fields import UsdField
from accounts.models import Adjustment, RequestRecord, Team
from accounts.store.adjust import Standing, adjust, standing

# Field of the form -> what `adjust` calls it.
CORRECTED = {"to_amount": "cost_nano", "to_team": "team", "to_cost_centre": "cost_centre", "to_owner": "owner"}


class CorrectionForm(ModelForm):
    to_amount = UsdField(label="Amount", help_text="US dollars, what the request should cost.")
    to_team = forms.ChoiceField(label="Team")
    to_cost_centre = forms.CharField(label="Cost centre", required=False, max_length=64)
    to_owner = forms.CharField(label="Owner", required=False, max_length=200)
    reason = forms.CharField(widget=forms.Textarea(attrs={"rows": 2}), help_text="Why; everybody can read it later.")
    external_ref = forms.CharField(
        label="External reference",
        required=False,
        max_length=200,
        help_text="Number of a credit note or ticket. It can be booked only once.",
    )
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = RequestRecord
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stands = standing(self.instance)
        self.initial = {field: getattr(stands, name) for field, name in CORRECTED.items()}
        self.initial["seen"] = self._last_adjustment()
        if "to_team" in self.fields:  # absent for those who only look
            names = sorted({stands.team, *Team.objects.values_list("name", flat=True)})
            team: Any = self.fields["to_team"]
            team.choices = [(name, name) for name in names]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        if cleaned["seen"] != self.initial["seen"]:
            raise forms.ValidationError("Somebody corrected this record meanwhile. Load the page again and look first.")
        if not self.corrections():
            raise forms.ValidationError("Nothing to book: neither the amount nor the attribution was changed.")
        self._check_reference(cleaned["external_ref"])
        return cleaned

    def corrections(self) -> dict[str, Any]:
        """What was changed, as arguments of `adjust`."""
        return {name: self.cleaned_data[field] for field, name in CORRECTED.items() if field in self.changed_data}

    def _check_reference(self, reference: str) -> None:
        booked = Adjustment.objects.filter(external_ref=reference).first() if reference else None
        if booked is not None:
            where = "this record" if booked.request_id == self.instance.pk else f"request {booked.request_id}"
            self.add_error("external_ref", f"It is booked already, on {where}.")

    def _last_adjustment(self) -> int | None:
        adjustments = Adjustment.objects.filter(request_id=self.instance.pk)
        return adjustments.order_by("-id").values_list("id", flat=True).first()


def book(record: RequestRecord, form: CorrectionForm, author: str) -> Adjustment:
    """Book what the form changed. Raises AdjustmentRefused."""
    data = form.cleaned_data
    return adjust(record, author=author, reason=data["reason"], external_ref=data["external_ref"], **form.corrections())


def stands(record: RequestRecord) -> Standing:
    """Where the record stands, read once for a page."""
    kept: Standing | None = record.__dict__.get("_stands")
    return kept or record.__dict__.setdefault("_stands", standing(record))
