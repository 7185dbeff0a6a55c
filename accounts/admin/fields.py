"""Form fields of the accounts room: money as decimal USD, a list of models as lines; and money as it is shown."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from accounts import money, scales


class UsdField(forms.CharField):
    """Decimal USD in the form, whole nano-USD behind it; None where it is left empty."""

    def __init__(self, *, signed: bool = False, **kwargs: Any) -> None:
        self.signed = signed
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        try:
            return money.nano(text, signed=self.signed)
        except money.NotMoney as error:
            raise ValidationError(str(error)) from None

    def prepare_value(self, value: Any) -> Any:
        return short_usd(value) if isinstance(value, int) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != initial)
        except ValidationError:
            return True


class ScaleField(forms.CharField):
    """Tiers of a price, one a line as `accounts.scales` reads them; behind it what the row stores."""

    widget = forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"})

    def __init__(self, *, services: bool, **kwargs: Any) -> None:
        self.services = services
        super().__init__(required=False, **kwargs)

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value) or ""
        try:
            if self.services:
                return scales.as_services(scales.read_services(text))
            return scales.as_tiers(scales.read_tiers(text))
        except scales.NotAScale as error:
            raise ValidationError(str(error)) from None

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, str) or value is None:
            return value
        if self.services:
            return scales.write_services(scales.services_of(value))
        return scales.write_tiers(scales.tiers_of(value))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((self.prepare_value(initial) or "") != (data or ""))


class LinesField(forms.CharField):
    """A list of texts, one a line; each may hold one `*`."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> Any:
        lines = [line.strip() for line in (super().to_python(value) or "").splitlines()]
        names = list(dict.fromkeys(line for line in lines if line))
        for name in names:
            if any(letter.isspace() for letter in name) or not name.isprintable() or len(name) > 200:
                raise ValidationError(f"{name[:60]!r} is no model name: one a line, without blanks.")
            if name.count("*") > 1:
                raise ValidationError(f"{name!r} has more than one *.")
        return names

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != (initial or []))
        except ValidationError:
            return True


def short_usd(amount: int) -> str:
    """Exact decimal USD with at least two places and no zeros beyond them."""
    whole, _, part = money.usd(amount).partition(".")
    return f"{whole}.{part.rstrip('0').ljust(2, '0')}"


def shown(amount: int | None, empty: str = "none") -> str:
    """Money in a column or a read-only field: all nine places, so that sums can be checked by hand."""
    if amount is None:
        return empty
    return f"{'-' if amount < 0 else ''}${money.usd(abs(amount))}"
