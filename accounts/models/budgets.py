"""Budgets, the slices of them that processes hold, and the alerts that were sent."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Coalesce

from accounts.models.keys import ApiKey
from accounts.models.teams import Team

THRESHOLDS = (50, 80, 100)  # percent


def usual_thresholds() -> list[int]:
    return list(THRESHOLDS)


class Budget(models.Model):
    """What may be spent in each window on calls of a team, a key, a route, or a pair of them. Amounts are nano-USD.

    The window and what it is on stay as they are: another scope is another budget.
    """

    class Window(models.TextChoices):
        DAY = "day", "a day"
        WEEK = "week", "a week"
        MONTH = "month", "a month"
        TOTAL = "total", "in total"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, null=True, blank=True, related_name="budgets")
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, null=True, blank=True, related_name="budgets")
    route = models.CharField(max_length=200, blank=True, help_text="Name of a route, as it stands on cost records.")
    window = models.CharField(max_length=5, choices=Window, default=Window.MONTH)
    amount_nano = models.BigIntegerField(help_text="Nano-USD.")
    hard = models.BooleanField(
        default=True, help_text="Calls that may go beyond it are refused; else it only sends alerts."
    )
    thresholds = models.JSONField(default=usual_thresholds, blank=True, help_text="Percentages that send an alert.")
    active = models.BooleanField(default=True)
    note = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=200, blank=True, editable=False)
    # `QuerySet.update` must set it too: the running gateway looks at it to notice a change.
    updated_at = models.DateTimeField(auto_now=True, db_index=True)
    updated_by = models.CharField(max_length=200, blank=True, editable=False)

    class Meta:
        ordering = ["team__name", "key__label", "route", "window"]
        constraints = [
            models.UniqueConstraint(
                Coalesce("team", models.Value(0)),
                Coalesce("key", models.Value(0)),
                "route",
                "window",
                name="accounts_budget_once",
                violation_error_message="There is a budget of this scope and window already: change that one.",
            ),
            models.CheckConstraint(condition=models.Q(amount_nano__gte=0), name="accounts_budget_paid"),
            models.CheckConstraint(
                condition=models.Q(team__isnull=False) | models.Q(key__isnull=False) | ~models.Q(route=""),
                name="accounts_budget_scoped",
                violation_error_message="Say what the budget is on: a team, a key, a route, or a pair of them.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope}, {self.get_window_display()}"

    @property
    def scope(self) -> str:
        """What it is on, for people who may see it."""
        parts = (("team", self.team), ("key", self.key and self.key.label), ("route", self.route))
        return ", ".join(f"{name} {value}" for name, value in parts if value)

    def clean(self) -> None:
        if self.team_id and self.key_id and self.key is not None and self.key.team_id != self.team_id:
            raise ValidationError({"key": "This key belongs to another team."})
        if self.team_id and self.key_id and self.route:
            raise ValidationError({"team": "A key and a route say it all: the key has its team."})

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.updated_by = self.updated_by or self.created_by
        super().save(*args, **kwargs)


class BudgetLease(models.Model):
    """A slice of a budget that one process holds: `granted` and never returned, of which the ledger has `drained`.

    What the process may have spent beyond the ledger is the difference.
    """

    id = models.CharField(max_length=36, primary_key=True)
    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="leases")
    first = models.DateField(help_text="First day of the window.")
    holder = models.CharField(max_length=200, db_index=True, help_text="Name of the process's journal.")
    granted_nano = models.BigIntegerField(default=0)
    drained_nano = models.BigIntegerField(default=0)
    idle_nano = models.BigIntegerField(default=0, help_text="Kept for coming calls.")
    reserved_nano = models.BigIntegerField(default=0, help_text="For calls under way.")
    seen_at = models.DateTimeField(help_text="When its holder wrote last, on the database's clock.")

    class Meta:
        indexes = [models.Index(fields=["budget", "first"], name="accounts_lease_budget")]

    def __str__(self) -> str:
        return f"{self.holder} on budget {self.budget_id}"


class BudgetHold(models.Model):
    """What stays reserved for a batch while it runs: on every budget that covers its team, key and route.

    `key` is a digest of provider and batch. It goes when somebody sees that the batch is over, or after `until`.
    """

    key = models.CharField(max_length=64, primary_key=True)
    team = models.CharField(max_length=64)
    key_id = models.CharField(max_length=8)
    route = models.CharField(max_length=200)
    amount_nano = models.BigIntegerField()
    until = models.BigIntegerField(help_text="Epoch seconds.")

    def __str__(self) -> str:
        return f"{self.amount_nano} nano-USD for a batch of team {self.team}"


class BudgetAlert(models.Model):
    """A threshold of an amount that was reached in a window: one row, whoever notices, told by mail and webhook."""

    class State(models.TextChoices):
        WAITING = "waiting"
        SENT = "sent"
        FAILED = "failed"
        UNHEARD = "unheard", "nobody to tell"

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="alerts")
    first = models.DateField(help_text="First day of the window.")
    percent = models.PositiveIntegerField()
    spent_nano = models.BigIntegerField(help_text="When it was noticed.")
    amount_nano = models.BigIntegerField(help_text="The budget then.")
    at = models.DateTimeField(auto_now_add=True)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING, db_index=True)
    tries = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(help_text="When it is to be sent, or sent again.")
    told = models.JSONField(default=list, blank=True, help_text="Ways that have taken it.")
    sent_at = models.DateTimeField(null=True, blank=True)
    trouble = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-at"]
        constraints = [
            models.UniqueConstraint(
                fields=["budget", "first", "percent", "amount_nano"], name="accounts_budgetalert_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.percent} % of {self.budget}"
