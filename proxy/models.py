"""Answers kept by the exact cache: written behind by the gateway, inspected, pinned and purged in the admin."""

from typing import Any

from django.db import models


def text(length: int) -> Any:
    return models.CharField(max_length=length, blank=True, default="")


class CacheEntry(models.Model):
    """One answer, kept for one team. `key` is the SHA-256 (hex) of the canonical request, the team included.

    `origin` names the process that wrote the row last. Every other process that sees a newer `updated_at` reads the
    row again; an edit in the admin has no origin, so that all of them do. A purged row is a tombstone: it tells
    the processes to forget the entry and is removed once it has expired.
    """

    key = models.CharField(max_length=64, unique=True, editable=False)
    team = text(64)
    model = models.CharField("model asked", max_length=200, blank=True, default="")
    route = text(200)
    provider = text(64)
    kind = text(32)
    served_model = text(200)
    form = models.CharField(
        "form",
        max_length=8,
        default="chat",
        help_text="An answer of chat, or the body, events or chunks of another API.",
    )
    ignored = models.TextField(blank=True, default="", editable=False)  # names of hints, one a line
    answer = models.TextField(blank=True, default="", help_text="JSON, or the events of a stream.")
    transcript = models.BinaryField(null=True, editable=False)  # the raw stream, until it is assembled into `answer`
    usage = models.JSONField(default=dict, blank=True, help_text="Units by class, as in the ledger.")
    free = models.BooleanField(default=False, help_text="Served by a provider that costs nothing.")
    bytes = models.IntegerField("size", default=0, help_text="Bytes of the answer.")
    hits = models.BigIntegerField(default=0)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    pinned = models.BooleanField(default=False, help_text="Kept past its expiry and never evicted.")
    note = models.TextField(blank=True, default="")
    origin = text(64)
    purged = models.BooleanField(default=False)
    # Set by whoever writes, in bulk writes too: the processes look at it to notice a change.
    updated_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = "cache entry"
        verbose_name_plural = "cache entries"
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["expires_at"], name="proxy_cacheentry_expires"),
            models.Index(fields=["team", "model"], name="proxy_cacheentry_team_model"),
        ]

    def __str__(self) -> str:
        return f"{self.model} for {self.team} ({self.key[:8]})"
