"""What people fill in to simulate a request or to replay recorded ones."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django import forms

from qlite_site.simulate.decision import tags_of
from routing.decide import Request, marked

SERVING, DRAFT = "serving", "draft"
TABLES = ((SERVING, "what serves"), (DRAFT, "the draft"))
WINDOWS = {"1": timedelta(days=1), "7": timedelta(days=7), "30": timedelta(days=30)}
SIZES = (1_000, 10_000, 100_000)


class SimulatorForm(forms.Form):
    model = forms.CharField(
        max_length=512, widget=forms.TextInput(attrs={"list": "models"}), help_text="The name that the caller asks for."
    )
    team = forms.CharField(
        max_length=64,
        required=False,
        widget=forms.TextInput(attrs={"list": "teams"}),
        help_text="Empty: a team without routes of its own.",
    )
    stream = forms.BooleanField(required=False, label="Stream")
    tools = forms.BooleanField(required=False, label="Tools")
    images = forms.BooleanField(required=False, label="Images")
    json_schema = forms.BooleanField(required=False, label="JSON schema")
    tokens = forms.IntegerField(min_value=0, max_value=100_000_000, initial=1000, label="Tokens of the prompt")
    tags = forms.CharField(max_length=1000, required=False, help_text="name=value, separated by commas")
    session = forms.CharField(max_length=256, required=False, help_text="For routes that keep sessions together.")
    table = forms.ChoiceField(choices=TABLES, initial=SERVING, label="By")

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "SimulatorForm":
        """The form as an address fills it, which may leave away what has a usual value."""
        usual = {name: field.initial for name, field in cls.base_fields.items() if field.initial is not None}
        return cls({**usual, **query}) if query else cls()

    def clean_tags(self) -> dict[str, str]:
        try:
            return tags_of(text for text in self.cleaned_data["tags"].split(",") if text.strip())
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None

    @property
    def request(self) -> Request:
        """What was described; the form must be valid."""
        known: dict[str, Any] = {name: value for name, value in self.cleaned_data.items() if name != "table"}
        return Request(**known | {"session": marked(known["session"])})


class ReplayForm(forms.Form):
    window = forms.ChoiceField(
        choices=[(days, f"{days} day{'' if days == '1' else 's'}") for days in WINDOWS],
        initial="7",
        label="Of the last",
    )
    size = forms.TypedChoiceField(
        choices=[(size, f"{size:,}") for size in SIZES], coerce=int, initial=10_000, label="At most"
    )
