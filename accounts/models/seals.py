"""What proves that nobody changed the ledger afterwards: each day's rows sealed into a chain of links."""

from typing import Any

from django.db import models

from accounts.models.ledger import count, text


def sha() -> Any:
    return models.CharField(max_length=64, blank=True, default="", help_text="SHA-256 in hexadecimal.")


class LedgerDay(models.Model):
    """A closed day: its rows, the head of its chain, when it was looked through last, and what was found.

    Its details may be gone (`pruned_at`); then `totals_digest` is that of the totals that stand for them.
    """

    day = models.DateField(primary_key=True)
    head = sha()
    links = models.IntegerField(default=0)
    requests = count()
    late = models.BigIntegerField(default=0, help_text="Of the requests: those that came after the day was sealed.")
    adjustments = models.BigIntegerField(default=0, help_text="Adjustments sealed with this day, of whichever day.")
    sealed_at = models.DateTimeField(null=True)
    verified_at = models.DateTimeField(null=True)
    problem_count = models.IntegerField(default=0)
    problems = models.JSONField(default=list)
    pruned_at = models.DateTimeField(null=True)
    pruned = models.BigIntegerField(default=0, help_text="Records whose details are gone.")
    prune_done = models.BooleanField(default=False)
    totals_digest = sha()

    class Meta:
        ordering = ["-day"]
        verbose_name = "closed day"

    def __str__(self) -> str:
        return str(self.day)


class LedgerLink(models.Model):
    """Some rows of the ledger, in their order, and the link before.

    `members` holds 24 bytes for each row: its id (as a UUID), and the first 8 of its digest, so that the row that was
    changed, taken away or put in can be named.
    """

    class Kind(models.TextChoices):
        ROWS = "rows"
        LATE = "late"
        ADJUSTMENTS = "adjustments"

    day = models.ForeignKey(LedgerDay, on_delete=models.PROTECT, db_column="day", related_name="chain")
    number = models.IntegerField()
    kind = models.CharField(max_length=12, choices=Kind)
    rows = models.IntegerField()
    last_at = models.CharField(max_length=32, blank=True, help_text="Where the rows end.")
    last_id = text(36)
    members = models.BinaryField()
    digest = sha()
    previous = sha()
    head = models.CharField(max_length=64, unique=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["day", "number"]
        constraints = [models.UniqueConstraint(fields=["day", "number"], name="accounts_link_once")]

    def __str__(self) -> str:
        return f"link {self.number} of {self.day_id}"


class LedgerLease(models.Model):
    """Which process keeps the books: one at a time."""

    name = models.CharField(max_length=32, primary_key=True)
    holder = text(200)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"
