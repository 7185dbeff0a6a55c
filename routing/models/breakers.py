"""Breakers as rows: how processes tell each other which targets are in trouble, and people what to leave alone."""

from typing import Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone

from routing.models.providers import Provider


class BreakerQuerySet(models.QuerySet["Breaker"]):
    def in_trouble(self) -> Self:
        """Those that are not closed. A wait that a provider asked for, which is no opening, ends by itself."""
        return self.exclude(state="closed").filter(Q(opened__gt=0) | Q(forced=True) | Q(until__gt=timezone.now()))


class Breaker(models.Model):
    """The breaker of a target that is or was in trouble. A target without a row was not, of late."""

    target = models.CharField(max_length=330, unique=True, help_text="provider/model, with the provider's own name.")
    state = models.CharField(max_length=16, default="open", editable=False)
    reason = models.CharField(max_length=300, blank=True, default="", editable=False)
    since = models.DateTimeField(default=timezone.now, editable=False)
    until = models.DateTimeField(default=timezone.now, editable=False, help_text="When a call may try it again.")
    opened = models.PositiveIntegerField(default=0, editable=False, help_text="How often in a row.")
    forced = models.BooleanField(default=False, editable=False, help_text="Opened by hand, and only a hand closes it.")
    note = models.CharField(max_length=300, blank=True, default="")
    author = models.CharField("by", max_length=200, blank=True, default="", editable=False)
    origin = models.CharField(max_length=200, blank=True, default="", editable=False)  # the process that moved it
    prober = models.CharField(max_length=200, blank=True, default="", editable=False)  # the process that tries it
    probed_at = models.DateTimeField(null=True, editable=False)
    changed_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)

    objects = BreakerQuerySet.as_manager()

    class Meta:
        ordering = ("-changed_at",)

    def __str__(self) -> str:
        return self.target

    def clean(self) -> None:
        provider, slash, model = self.target.partition("/")
        if not (slash and model and Provider.objects.filter(name=provider).exists()):
            raise ValidationError({"target": f"{self.target!r} is no target: write provider/model"})
