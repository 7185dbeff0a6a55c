"""What waits to be published, as rows: edits, a time that was set, and the credentials that serve meanwhile."""

from django.db import models
from django.utils import timezone

from routing.fields import EncryptedTextField


class LiveCredential(models.Model):
    """The credential that serves under a provider's name. Publishing copies it from the provider's row.

    So a draft may give a provider another credential, name or address, or delete it, and what serves stays whole.
    """

    name = models.CharField(max_length=64, primary_key=True)
    credential = EncryptedTextField(blank=True, default="")
    credential_env = models.CharField(max_length=200, blank=True, default="")
    changed_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = "serving credential"

    def __str__(self) -> str:
        return self.name


class DraftEdit(models.Model):
    """An edit that waits in the draft to be published."""

    author = models.CharField(max_length=200)
    note = models.TextField(blank=True, default="")
    at = models.DateTimeField(default=timezone.now)
    pending = models.PositiveIntegerField(help_text="Unpublished changes after this edit.")
    version = models.CharField(max_length=64, help_text="Of the draft after this edit.")

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.author}: {self.note}"


class Publication(models.Model):
    """A draft that goes live at a set time, as it was when the time was set."""

    class State(models.TextChoices):
        WAITING = "waiting"
        DONE = "done"
        CANCELLED = "cancelled"
        FAILED = "failed"

    due = models.DateTimeField(db_index=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING, db_index=True)
    document = models.JSONField()
    base = models.JSONField(help_text="What served when the time was set.")
    author = models.CharField(max_length=200)
    note = models.TextField(blank=True, default="")
    editors = models.JSONField(default=list)
    at = models.DateTimeField(default=timezone.now)
    last_edit = models.BigIntegerField(default=0, help_text="Id of the last edit that is in it.")
    outcome = models.TextField(blank=True, default="")
    revision = models.ForeignKey("routing.Revision", null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(
                fields=["state"], condition=models.Q(state="waiting"), name="routing_one_publication_waits"
            )
        ]

    def __str__(self) -> str:
        return f"publication at {self.due:%Y-%m-%d %H:%M}"
