"""Forms of rows that two people may have open at once: what one saved, the other does not overwrite unseen."""

from typing import Any

from django.core import signing
from django.core.exceptions import ValidationError
from django.utils.text import capfirst

from accounts.admin.base import ModelForm

SALT = "accounts.form"


class CarefulForm(ModelForm):
    """Carries what it was opened on as `seen`, signed, which the page sends back; a stale one is refused."""

    @property
    def seen(self) -> str:
        """What the page is to send back, "" for a row that is yet to be made."""
        if self.instance.pk is None:
            return ""
        return self.data.get("seen", "") if self.is_bound else signing.dumps(self._values(), salt=SALT, compress=True)

    def clean(self) -> Any:
        cleaned = super().clean()
        opened = self._opened()
        if self.instance.pk is not None and opened:
            # Locked until the save is done: of two who save at once, the second sees what the first did.
            row = self._meta.model._default_manager.select_for_update().get(pk=self.instance.pk)
            now = type(self)(instance=row)._values()
            told = [
                f"{self._name(field)} is {now[field] or 'empty'}, and was {opened[field] or 'empty'}"
                for field in now
                if opened.get(field, now[field]) != now[field]
            ]
            if told:
                raise ValidationError(
                    f"Nothing was saved: somebody changed this since you opened it. {'; '.join(told)}. Open it again."
                )
        return cleaned

    def _values(self) -> dict[str, str]:
        """The fields as they stand on the row, as text."""
        open_ = {name: field for name, field in self.fields.items() if not field.disabled}
        return {name: _text(field.prepare_value(self.initial.get(name))) for name, field in open_.items()}

    def _opened(self) -> dict[str, str]:
        try:
            found: dict[str, str] = signing.loads(self.data.get("seen", ""), salt=SALT)
        except signing.BadSignature:
            return {}
        return found

    def _name(self, field: str) -> str:
        return str(capfirst(self.fields[field].label or field))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(sorted(map(str, value)))
    return "" if value is None else str(value)
