"""A period's costs reckoned again with the price book of today: what was asked for, how far it is, what it found."""

from django.db import models

from accounts.models.ledger import count, text


class Repricing(models.Model):
    """Nothing is booked before it was `ready` and somebody applied it. Amounts are nano-USD."""

    class State(models.TextChoices):
        PREVIEWING = "previewing"
        READY = "ready"
        APPLYING = "applying"
        DONE = "done"
        CANCELLED = "cancelled"

    since = models.DateTimeField(help_text="Requests admitted from here on")
    until = models.DateTimeField(help_text="and before this.")
    provider = models.CharField(max_length=64, blank=True, help_text="Only requests that tried it; empty for any.")
    model = models.CharField(max_length=200, blank=True, help_text="The provider's model name, or its beginning and *.")
    unpriced_only = models.BooleanField(default=False, help_text="Only those that had no price when they were made.")
    at_once = models.BooleanField(default=False, help_text="Apply it as soon as it has been reckoned.")
    author = models.CharField(max_length=200)
    reason = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    applied_by = text(200)
    finished_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=12, choices=State, default=State.PREVIEWING)
    # The last record that was looked at.
    cursor_at = models.DateTimeField(null=True)
    cursor_id = text(36)
    expected = count()
    looked = count()
    found = count()
    delta_nano = count()
    waiting = count()
    by_model = models.JSONField(default=dict)  # "provider/model" -> [requests, nano-USD]
    booked = count()
    booked_nano = count()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(reason=""), name="accounts_repricing_reasoned"),
            models.CheckConstraint(condition=models.Q(since__lt=models.F("until")), name="accounts_repricing_period"),
        ]

    def __str__(self) -> str:
        what = "/".join(filter(None, (self.provider, self.model))) or "everything"
        return f"{what} from {self.since:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M}"

    @property
    def running(self) -> bool:
        return self.state in (self.State.PREVIEWING, self.State.APPLYING)

    @property
    def percent(self) -> int:
        """How much of the period has been looked at."""
        return 100 if not self.running else min(99, 100 * self.looked // max(self.expected, 1))
