"""API keys, of which only a digest is kept, and the requests that lead to them."""

from django.conf import settings
from django.db import models as orm  # both classes have a field called `models`
from django.utils import timezone

from accounts.models.teams import Team


class ApiKey(orm.Model):
    """What a key permits. The secret is shown once where the key is made and is stored nowhere."""

    id8 = orm.CharField("id", max_length=8, unique=True, help_text="The part of the key that may be shown.")
    digest = orm.CharField(max_length=64, unique=True, editable=False, help_text="SHA-256 of the whole key, hex.")
    last4 = orm.CharField(max_length=4, editable=False)
    team = orm.ForeignKey(Team, on_delete=orm.PROTECT, related_name="keys")
    label = orm.CharField(max_length=200)
    owner = orm.CharField(max_length=200, blank=True)
    models = orm.JSONField(default=list, blank=True, help_text="Names or patterns with one *; empty allows all.")
    expires_at = orm.DateTimeField(null=True, blank=True)
    disabled = orm.BooleanField(default=False)
    disabled_at = orm.DateTimeField(null=True, blank=True, editable=False)
    disabled_by = orm.CharField(max_length=200, blank=True, editable=False)
    created_at = orm.DateTimeField(auto_now_add=True)
    created_by = orm.CharField(max_length=200, blank=True, editable=False)
    # `QuerySet.update` must set it too: the running gateway looks at it to notice a change.
    updated_at = orm.DateTimeField(auto_now=True, db_index=True)
    last_used_at = orm.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.label} ({self.shown})"

    @property
    def shown(self) -> str:
        """The key as it may be printed: its public part and the last four characters."""
        return f"sk-ql_{self.id8}…{self.last4}"

    @property
    def monthly_budget_nano(self) -> int | None:
        """What it may spend in a calendar month, in nano-USD: its own budget, see `accounts.models.budgets`."""
        for budget in self.budgets.all():
            if budget.active and budget.window == "month" and not budget.route and budget.team_id is None:
                return int(budget.amount_nano)
        return None

    def disable(self, by: str) -> None:
        """Refuse the key from now on. Disabling twice keeps the first author and time."""
        if not self.disabled:
            self.disabled, self.disabled_at, self.disabled_by = True, timezone.now(), by
            self.save(update_fields=["disabled", "disabled_at", "disabled_by", "updated_at"])


class KeyRequest(orm.Model):
    """Somebody asks for a key. It is minted when the requester reveals it, so no secret is ever stored.

    The transitions stand in `accounts.store.requests`.
    """

    class State(orm.TextChoices):
        PENDING = "pending"
        APPROVED = "approved"
        REJECTED = "rejected"
        WITHDRAWN = "withdrawn"
        REVEALED = "revealed"

    team = orm.ForeignKey(Team, on_delete=orm.PROTECT, related_name="key_requests")
    requester = orm.ForeignKey(settings.AUTH_USER_MODEL, on_delete=orm.PROTECT, related_name="key_requests")
    name = orm.CharField(max_length=200)
    purpose = orm.TextField(blank=True)
    models = orm.JSONField(default=list, blank=True)
    monthly_budget_nano = orm.BigIntegerField(null=True, blank=True)
    expires_at = orm.DateTimeField(null=True, blank=True)
    state = orm.CharField(max_length=10, choices=State, default=State.PENDING, db_index=True)
    decided_by = orm.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=orm.SET_NULL, null=True, blank=True, related_name="+"
    )
    decided_at = orm.DateTimeField(null=True, blank=True)
    comment = orm.TextField(blank=True)
    granted_models = orm.JSONField(default=list, blank=True)
    granted_budget_nano = orm.BigIntegerField(null=True, blank=True)
    granted_expires_at = orm.DateTimeField(null=True, blank=True)
    key = orm.OneToOneField(ApiKey, on_delete=orm.PROTECT, null=True, blank=True, related_name="key_request")
    created_at = orm.DateTimeField(auto_now_add=True)
    updated_at = orm.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.name} for {self.team} ({self.state})"
