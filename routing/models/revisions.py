"""Revisions as rows: what was published, which never changes."""

from typing import Any, Never

from django.db import models
from django.utils import timezone


class RevisionImmutable(TypeError):
    """A published revision was about to be changed or deleted."""


class RevisionQuerySet(models.QuerySet["Revision"]):
    """Revisions can be read and added, nothing else."""

    def update(self, **kwargs: Any) -> Never:
        raise RevisionImmutable("a published revision never changes")

    def delete(self) -> Never:
        raise RevisionImmutable("a published revision is never deleted")


class Revision(models.Model):
    """One published state of the routing table. Never changes; undoing is publishing an earlier document again."""

    number = models.BigAutoField(primary_key=True)
    document = models.JSONField()
    note = models.TextField(blank=True, default="")
    author = models.CharField(max_length=200, blank=True, default="")
    at = models.DateTimeField(default=timezone.now, db_index=True)
    diff = models.JSONField(default=list, blank=True, help_text="Changes to the revision before, as a list.")
    editors = models.JSONField(default=list, blank=True, help_text="Who edited the draft that was published.")
    restored_from = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    objects = RevisionQuerySet.as_manager()

    class Meta:
        ordering = ("-number",)

    def __str__(self) -> str:
        return f"revision {self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise RevisionImmutable("a published revision never changes")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Never:
        raise RevisionImmutable("a published revision is never deleted")
