"""The ledger: settled request records with their attempts, adjustments beside them, daily totals over them.

Rows of RequestRecord, AttemptRecord and Adjustment never change once they are here (triggers refuse it). Who pays is
frozen onto the row as text, so a record outlives the team, key, route and provider that it names.
"""

from typing import Any

from django.db import models


class Status(models.TextChoices):
    SETTLED = "settled"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    CACHED = "cached"


class UsageSource(models.TextChoices):
    PROVIDER = "provider"
    ESTIMATED = "estimated"
    NONE = "none"


class CostStatus(models.TextChoices):
    PRICED = "priced"
    FREE = "free"
    UNPRICED = "unpriced"
    NONE = "none"


def text(length: int) -> Any:
    return models.CharField(max_length=length, blank=True, default="")


def count() -> Any:
    return models.BigIntegerField(default=0)


class RequestId(models.CharField):  # type: ignore[type-arg]
    """A UUIDv7, which begins with its time. PostgreSQL too compares it by bytes: its months are ranges of ids."""

    def db_parameters(self, connection: Any) -> Any:
        collation = "C" if connection.vendor == "postgresql" else None
        return {**super().db_parameters(connection), "collation": collation}


class Units(models.Model):
    """Units billed, in classes that do not overlap (reasoning is not part of output, cached not part of input)."""

    input = count()
    cached_input = count()
    cache_write = count()
    output = count()
    reasoning = count()
    audio_input = count()
    audio_output = count()
    requests = count()
    cache_write_1h = count()
    image_input = count()
    image_output = count()
    seconds = count()
    searches = count()
    cached_audio = count()
    cached_image = count()
    characters = count()
    usage_source = models.CharField(max_length=10, choices=UsageSource, default=UsageSource.NONE)
    cost_status = models.CharField(max_length=10, choices=CostStatus, default=CostStatus.NONE)
    cost_nano = count()

    class Meta:
        abstract = True


class RequestRecord(Units):
    """One call of a client. `provider` and `model` are those that served it (of the last attempt where none did)."""

    id = RequestId(max_length=36, primary_key=True, help_text="UUIDv7; the caller saw it as X-Qlite-Id.")
    client_request_id = text(128)
    at = models.DateTimeField(help_text="When it was admitted.")
    day = models.DateField(help_text="By the organisation's clock.")
    status = models.CharField(max_length=12, choices=Status)
    surface = text(32)
    team = text(64)
    cost_centre = text(64)
    owner = text(200)
    key_id = text(8)
    key_label = text(200)
    route = text(200)
    model_asked = text(200)
    provider = text(64)
    model = text(200)
    revision = models.BigIntegerField(default=0, help_text="The routing revision that was in force.")
    stream = models.BooleanField(default=False)
    cached = models.BooleanField(default=False)
    http_status = models.IntegerField(null=True)
    error = text(200)
    saved_nano = count()
    tokens_saved = count()
    client_gone = models.BooleanField(default=False)
    latency_us = models.BigIntegerField(null=True)
    first_token_us = models.BigIntegerField(null=True)
    tags = models.JSONField(default=dict)
    prompt_bytes = count()
    features = models.SmallIntegerField(default=0, help_text="What was asked for: 1 tools, 2 images, 4 a JSON schema.")
    session = models.SmallIntegerField(default=0, help_text="A mark that the calls of one session share with others'.")

    class Meta:
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["day", "team"], name="accounts_request_day"),
            models.Index(fields=["-at"], name="accounts_request_at"),
            models.Index(fields=["team", "at"], name="accounts_request_team"),
            models.Index(fields=["key_id", "at"], name="accounts_request_key"),
            models.Index(fields=["model", "at"], name="accounts_request_model"),
            models.Index(fields=["status", "at"], name="accounts_request_status"),
            models.Index(fields=["provider", "at"], name="accounts_request_provider"),
            models.Index(fields=["client_request_id"], name="accounts_request_client"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class AttemptRecord(Units):
    """One call of a provider on behalf of a request. The request's cost is the sum over its attempts.

    No constraint of the database ties it to its request: both are written in one transaction, `qlite ledger verify`
    looks, and on PostgreSQL a month could not be taken away without a look at every attempt of all others.
    """

    class Status(models.TextChoices):
        SETTLED = "settled"
        INTERRUPTED = "interrupted"
        FAILED = "failed"

    pk = models.CompositePrimaryKey("request_id", "number")
    request = models.ForeignKey(
        RequestRecord, on_delete=models.CASCADE, related_name="attempts", db_index=False, db_constraint=False
    )
    number = models.IntegerField()
    provider = text(64)
    kind = text(32)
    model = text(200)
    target = text(300)
    status = models.CharField(max_length=12, choices=Status)
    http_status = models.IntegerField(null=True)
    error = text(200)
    price_id = models.BigIntegerField(
        null=True, help_text="The price version; kept as a number, it may outlive the row."
    )
    started_at = models.DateTimeField()
    latency_us = models.BigIntegerField(null=True)
    service_tier = text(32)
    amounts = models.JSONField(default=dict, help_text="Nano-USD by unit class; together they are the cost.")

    class Meta:
        ordering = ["request_id", "number"]

    def __str__(self) -> str:
        return f"{self.request_id} attempt {self.number}"


class Adjustment(models.Model):
    """A correction of one record, booked beside the untouched original, to the original's day.

    A null team, cost centre or owner leaves what stood before. The adjusted cost is the record's plus all deltas.
    """

    request = models.ForeignKey(RequestRecord, on_delete=models.PROTECT, related_name="adjustments")
    at = models.DateTimeField(auto_now_add=True)
    day = models.DateField(help_text="The request's own day.")
    author = models.CharField(max_length=200)
    reason = models.TextField()
    external_ref = models.CharField(max_length=200, blank=True, help_text="The same reference is booked only once.")
    cost_nano_delta = models.BigIntegerField(default=0)
    reprice = models.BooleanField(default=False, help_text="Reckoned with a later price book, not by a person.")
    team = models.CharField(max_length=64, null=True, blank=True)
    cost_centre = models.CharField(max_length=64, null=True, blank=True)
    owner = models.CharField(max_length=200, null=True, blank=True)

    class Meta:
        ordering = ["request_id", "id"]
        indexes = [models.Index(fields=["day"], name="accounts_adjustment_day")]
        constraints = [
            models.UniqueConstraint(
                fields=["external_ref"], condition=~models.Q(external_ref=""), name="accounts_adjustment_once"
            ),
            models.CheckConstraint(condition=~models.Q(reason=""), name="accounts_adjustment_reasoned"),
        ]

    def __str__(self) -> str:
        return f"{self.cost_nano_delta:+d} nano-USD on {self.request_id}"


class Totals(models.Model):
    """Sums over the records of a day that have all of DIMENSIONS in common.

    What they cost is `cost_nano + adjusted_nano`; of `unpriced` those are `repriced` that got a cost later.
    """

    SUMS = (
        "requests",
        "cached",
        "failed",
        "interrupted",
        "unpriced",
        "input_tokens",
        "output_tokens",
        "cost_nano",
        "estimated_nano",
        "saved_nano",
        "tokens_saved",
    )

    day = models.DateField()
    team = text(64)
    cost_centre = text(64)
    key_id = text(8)
    model = text(200)
    provider = text(64)
    route = text(200)
    requests = count()
    cached = count()
    failed = count()
    interrupted = count()
    unpriced = count()
    input_tokens = count()
    output_tokens = count()
    cost_nano = count()
    estimated_nano = count()
    saved_nano = count()
    tokens_saved = count()
    adjusted_nano = count()
    repriced = count()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.team} on {self.day}"


class DailyTotal(Totals):
    DIMENSIONS = ("day", "team", "cost_centre", "key_id", "model", "provider", "route")

    class Meta:
        ordering = ["day", "team"]
        indexes = [
            models.Index(fields=["team", "day"], name="accounts_dailytotal_team"),
            models.Index(fields=["key_id", "day"], name="accounts_dailytotal_key"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["day", "team", "cost_centre", "key_id", "model", "provider", "route"],
                name="accounts_dailytotal_once",
            )
        ]


class TagTotal(Totals):
    """The same for each tag of the records. A record with two tags is in two of these."""

    DIMENSIONS = ("day", "tag", "value", "team", "cost_centre", "key_id", "model", "provider", "route")

    tag = text(64)
    value = text(256)

    class Meta:
        ordering = ["day", "tag", "value"]
        constraints = [
            models.UniqueConstraint(
                fields=["day", "tag", "value", "team", "cost_centre", "key_id", "model", "provider", "route"],
                name="accounts_tagtotal_once",
            )
        ]


class BilledOnce(models.Model):
    """What is billed when somebody sees it, and may be seen often: a batch that is over. The first record counts."""

    key = models.CharField(max_length=64, primary_key=True)
    request_id = models.CharField(max_length=36)

    def __str__(self) -> str:
        return self.key


class LedgerQuarantine(models.Model):
    """A journal row that the ledger could not take, kept whole until somebody looks at it."""

    raw = models.TextField()
    error = models.TextField()
    at = models.DateTimeField(auto_now_add=True)
    request_id = models.CharField(max_length=64, blank=True, db_index=True)
    cost_nano = models.BigIntegerField(null=True)

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.request_id}: {self.error}"
