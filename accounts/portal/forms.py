"""What people may type on the key pages. Every field is named here; whatever else is posted is ignored."""

from collections.abc import Iterable
from datetime import date, datetime, time
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.keys import matches
from accounts.models import KeyRequest, Team
from accounts.money import NotMoney, nano, usd
from accounts.portal.viewer import Viewer

MOST_MODELS = 100
LARGEST_BUDGET = 1_000_000_000 * 10**9


class DollarsField(forms.CharField):
    """USD typed as text, kept as nano-USD; empty is None."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "placeholder": "250.00"})

    def to_python(self, value: Any) -> Any:
        text = str(super().to_python(value) or "").replace(",", "").removeprefix("$")
        if not text:
            return None
        try:
            amount = nano(text)
        except NotMoney as error:
            raise ValidationError(f"{error}.") from None
        if not 0 < amount <= LARGEST_BUDGET:
            raise ValidationError("A budget is above zero, and at most a billion dollars. Leave it empty for none.")
        return amount

    def prepare_value(self, value: Any) -> Any:
        return _short(usd(value)) if isinstance(value, int) else value


class ModelsField(forms.CharField):
    """Model names or patterns, one a line (or with commas between), kept as a list."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocapitalize": "off"})

    def to_python(self, value: Any) -> Any:
        names = list(dict.fromkeys(str(super().to_python(value) or "").replace(",", " ").split()))
        if len(names) > MOST_MODELS:
            raise ValidationError(f"At most {MOST_MODELS} names. A pattern such as gpt-* says more with less.")
        for name in names:
            if len(name) > 200 or name.count("*") > 1 or not name.isprintable():
                raise ValidationError(f"{name[:60]} is not a model name, nor a pattern with one *.")
        return names

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value


class LastDayField(forms.DateField):
    """The last day on which a key works, kept as the end of that day on the organisation's clock."""

    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")

    def to_python(self, value: Any) -> Any:
        day = super().to_python(value)
        if day is None:
            return None
        if day < timezone.localdate():
            raise ValidationError("That day is over.")
        return end_of(day)

    def prepare_value(self, value: Any) -> Any:
        return timezone.localtime(value).date() if isinstance(value, datetime) else value


def end_of(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time(23, 59, 59)))


class AskForm(forms.Form):
    """A request for a key."""

    team = forms.ModelChoiceField(Team.objects.none(), empty_label=None, help_text="Its budget pays for the calls.")
    name = forms.CharField(
        max_length=200,
        help_text="What the key is called in lists and reports.",
        widget=forms.TextInput(attrs={"placeholder": "search-backend production", "autocomplete": "off"}),
    )
    purpose = forms.CharField(
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What it is for. Whoever approves it reads this first.",
    )
    known = forms.MultipleChoiceField(
        required=False, label="Models", widget=forms.CheckboxSelectMultiple, help_text="Tick none to ask for all."
    )
    other = ModelsField(
        required=False, label="Other models", help_text="Names or patterns with one *, such as gpt-*. One a line."
    )
    budget = DollarsField(
        required=False, label="Monthly budget", help_text="In USD a calendar month. Empty: no budget of its own."
    )
    expires = LastDayField(
        required=False, label="Last day", help_text="The key stops working after it. Empty: it never expires."
    )

    def __init__(self, *args: Any, viewer: Viewer, route_names: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["team"].queryset = viewer.teams  # type: ignore[attr-defined]
        self.fields["known"].choices = [(name, name) for name in route_names]  # type: ignore[attr-defined]

    @property
    def asked(self) -> dict[str, Any]:
        """What is asked for, by the names that `submit` takes."""
        clean = self.cleaned_data
        return {
            "team": clean["team"],
            "name": clean["name"],
            "purpose": clean["purpose"],
            "models": list(dict.fromkeys([*clean["known"], *clean["other"]])),
            "monthly_budget_nano": clean["budget"],
            "expires_at": clean["expires"],
        }


class ApproveForm(forms.Form):
    """What is granted: as asked, or less."""

    models = ModelsField(required=False)
    budget = DollarsField(required=False, label="Monthly budget")
    expires = LastDayField(required=False, label="Last day")
    comment = forms.CharField(required=False, max_length=4000, widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(self, *args: Any, asked: KeyRequest, **kwargs: Any) -> None:
        self.asked = asked
        kwargs.setdefault(
            "initial", {"models": asked.models, "budget": asked.monthly_budget_nano, "expires": asked.expires_at}
        )
        super().__init__(*args, **kwargs)
        # To leave a field empty is to grant without limit, which is possible only where that was asked.
        self.fields["models"].help_text = "One a line." if asked.models else "One a line. Empty: all models."
        self.fields["budget"].help_text = "In USD." if asked.monthly_budget_nano is not None else "In USD. Empty: none."
        self.fields["expires"].help_text = "" if asked.expires_at else "Empty: never expires."

    def clean_models(self) -> list[str]:
        granted: list[str] = self.cleaned_data["models"]
        wider = [name for name in granted if not any(matches(pattern, name) for pattern in self.asked.models)]
        if self.asked.models and (wider or not granted):
            raise ValidationError(f"Not asked for: {', '.join(wider) or 'all models'}.")
        return granted

    def clean_budget(self) -> int | None:
        granted: int | None = self.cleaned_data["budget"]
        most = self.asked.monthly_budget_nano
        if most is not None and (granted is None or granted > most):
            raise ValidationError(f"More than was asked for (${_short(usd(most))}).")
        return granted

    def clean_expires(self) -> datetime | None:
        granted: datetime | None = self.cleaned_data["expires"]
        latest = self.asked.expires_at
        if latest and granted and timezone.localdate(granted) == timezone.localdate(latest):
            return latest  # asked for elsewhere than on our pages, it may end within that day
        if latest is not None and (granted is None or granted > latest):
            raise ValidationError("Later than was asked for.")
        return granted

    @property
    def granted(self) -> dict[str, Any]:
        clean = self.cleaned_data
        return {
            "models": clean["models"],
            "monthly_budget_nano": clean["budget"],
            "expires_at": clean["expires"],
            "comment": clean["comment"],
        }


class RejectForm(forms.Form):
    comment = forms.CharField(
        max_length=4000, widget=forms.Textarea(attrs={"rows": 2}), label="Why", help_text="The requester reads it."
    )


def _short(amount: str) -> str:
    whole, part = amount.split(".")
    return f"{whole}.{part.rstrip('0'):0<2}"


class BudgetForm(forms.Form):
    """A key's budget a month."""

    amount = DollarsField(required=False, label="US dollars a month", help_text="Empty: no budget of its own.")
