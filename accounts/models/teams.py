"""Teams and the people in them. A team owns keys; its name is frozen onto every cost record."""

from django.conf import settings
from django.db import models


class Team(models.Model):
    name = models.SlugField(max_length=64, unique=True, help_text="Short name, as it stands on cost records.")
    title = models.CharField(max_length=200, blank=True)
    cost_centre = models.CharField(max_length=64, blank=True)
    owner = models.CharField(max_length=200, blank=True, help_text="Who answers for the team's spending.")
    disabled = models.BooleanField(default=False, help_text="None of its keys is accepted.")
    priced_only = models.BooleanField(
        "only models with a price",
        default=False,
        help_text="A call to a model without a price is refused. Otherwise it is made, and recorded as unpriced.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    # `QuerySet.update` must set it too: the running gateway looks at it to notice a change.
    updated_at = models.DateTimeField(auto_now=True, db_index=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    class Role(models.TextChoices):
        MEMBER = "member"
        LEAD = "lead"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=8, choices=Role, default=Role.MEMBER)

    class Meta:
        ordering = ["team", "user"]
        constraints = [models.UniqueConstraint(fields=["team", "user"], name="accounts_membership_once")]

    def __str__(self) -> str:
        return f"{self.user} in {self.team} ({self.role})"
