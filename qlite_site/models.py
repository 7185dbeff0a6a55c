"""Rows of the site itself: failed sign-ins, which the throttle counts, and replays of recorded requests."""

from django.db import models


class LoginFailure(models.Model):
    account = models.CharField(max_length=150)
    address = models.CharField(max_length=64)
    at = models.DateTimeField()
    counts = models.BooleanField(default=True, help_text="Off once the right password was given.")

    class Meta:
        verbose_name = "failed sign-in"
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["account", "address", "-at"], name="site_login_failure"),
            models.Index(fields=["at"], name="site_login_failure_at"),
        ]

    def __str__(self) -> str:
        return f"{self.account} from {self.address}"


class Replay(models.Model):
    """One replay of recorded requests against a draft, with both tables as they were when it began."""

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        CANCELLED = "cancelled"
        FAILED = "failed"

    author = models.CharField(max_length=150)
    started_at = models.DateTimeField(auto_now_add=True)
    since = models.DateTimeField()
    until = models.DateTimeField()
    size = models.IntegerField(help_text="At most so many requests, the newest first.")
    serving = models.JSONField()
    draft = models.JSONField()
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    tally = models.JSONField(default=dict)
    trouble = models.CharField(max_length=200, blank=True)
    beat_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"replay {self.pk} by {self.author}"
