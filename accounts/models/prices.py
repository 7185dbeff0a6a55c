"""Prices: dated versions in integer nano-USD per million units. A change is a new version, never an edit."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from accounts import scales

AMOUNTS = (
    "input",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "output",
    "reasoning",
    "audio_input",
    "cached_audio",
    "audio_output",
    "image_input",
    "cached_image",
    "image_output",
    "requests",
    "seconds",
    "searches",
    "characters",
)
# A price without any of these prices nothing.
FIRST = ("input", "image_output", "requests", "seconds", "characters")
FROZEN = ("provider", "kind", "model", "effective_from", *AMOUNTS, "tiers", "services")


def amount(help_text: str = "") -> Any:
    """One column of nano-USD per million units; null means that the class has no price of its own."""
    return models.BigIntegerField(null=True, blank=True, help_text=help_text)


class Price(models.Model):
    provider = models.CharField(max_length=64, blank=True, help_text="Name of a provider; empty for any.")
    kind = models.CharField(max_length=32, blank=True, help_text="Kind of provider; empty for any.")
    model = models.CharField(max_length=200, help_text="The provider's model name, or its beginning and a *.")
    effective_from = models.DateTimeField()
    input = amount()
    cached_input = amount("Empty: as input.")
    cache_write = amount("Kept for 5 minutes. Empty: as input.")
    cache_write_1h = amount("Kept for an hour. Empty: as cache write.")
    output = amount()
    reasoning = amount("Empty: as output.")
    audio_input = amount("Empty: as input.")
    cached_audio = amount("Empty: as cached input, else as audio input.")
    audio_output = amount("Empty: as output.")
    image_input = amount("Empty: as input.")
    cached_image = amount("Empty: as cached input, else as image input.")
    image_output = amount("Empty: as output.")
    requests = amount("Per million requests. Empty: nothing.")
    seconds = amount("Per million seconds of sound or of work.")
    searches = amount("Per million searches.")
    characters = amount("Per million characters read aloud.")
    tiers = models.JSONField(default=list, blank=True, help_text="Other amounts for long prompts.")
    services = models.JSONField(default=dict, blank=True, help_text="Factors or amounts of service tiers.")
    origin = models.CharField(
        max_length=32, default="own", editable=False, help_text="'own', or the price list that it was taken from."
    )
    source = models.TextField(blank=True, help_text="Where the figures come from.")
    note = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=200, blank=True, editable=False)
    # Only an approved version is ever used. Where nobody has to approve, a version is approved as it is made.
    approved_at = models.DateTimeField(null=True, blank=True, editable=False)
    approved_by = models.CharField(max_length=200, blank=True, editable=False)

    class Meta:
        ordering = ["model", "provider", "kind", "-effective_from"]
        constraints = [
            models.UniqueConstraint(fields=["provider", "kind", "model", "effective_from"], name="accounts_price_once"),
            *(
                models.CheckConstraint(condition=models.Q(**{f"{name}__gte": 0}), name=f"accounts_price_{name}_paid")
                for name in AMOUNTS
            ),
        ]

    def __str__(self) -> str:
        where = self.provider or self.kind or "any provider"
        return f"{self.model} at {where} from {self.effective_from:%Y-%m-%d}"

    def clean(self) -> None:
        """Raises ValidationError with a sentence for the person at the form."""
        if all(getattr(self, name) is None for name in FIRST):
            raise ValidationError(
                "A price needs at least an amount for input, image output, requests, seconds or characters."
            )
        try:
            scales.tiers_of(self.tiers), scales.services_of(self.services)
        except scales.NotAScale as error:
            raise ValidationError(str(error)) from None
        if "*" in self.model[:-1]:
            raise ValidationError({"model": "A * may stand only at the end."})
        self._refuse_edit()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Raises ValidationError where an existing version would change."""
        self._refuse_edit()
        if self._state.adding and self.approved_at is None and not settings.PRICE_APPROVAL:
            self.approved_at = timezone.now()
        super().save(*args, **kwargs)

    def _refuse_edit(self) -> None:
        if self._state.adding:
            return
        stored = Price.objects.filter(pk=self.pk).values(*FROZEN).first()
        if stored is not None and any(getattr(self, name) != value for name, value in stored.items()):
            raise ValidationError("A price is never edited: add a new version that takes effect from its own date.")
