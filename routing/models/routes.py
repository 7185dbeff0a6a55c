"""Routes and targets as rows: what callers ask for, and the ways to serve it."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from routing import rules
from routing.models.checking import collect
from routing.models.providers import TIMEOUTS, Provider


def strategy_choices() -> list[tuple[str, str]]:
    """Name and words of each strategy; a function, so that a new one needs no migration."""
    return list(rules.STRATEGIES.items())


def condition_choices() -> list[tuple[str, str]]:
    return list(rules.CONDITIONS.items())


def condition(what: str, label: str | None = None) -> Any:
    """A column that says whether a target takes calls with `what`, without, or any."""
    return models.CharField(
        label,
        max_length=8,
        choices=condition_choices,
        default=rules.ANY,
        help_text=f"Whether it takes calls with {what}.",
    )


class Route(models.Model):
    """A model name or pattern that callers ask for."""

    name = models.CharField(
        max_length=rules.MAX_NAME, help_text="A model name, or a pattern with one '*' such as gpt-4*."
    )
    team = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text="Short name of the team whose calls find this route first; empty: for everybody.",
    )
    enabled = models.BooleanField(default=True)
    alias_of = models.CharField(
        "alias of",
        max_length=rules.MAX_NAME,
        blank=True,
        default="",
        help_text="This name stands for another and has all that its route has. A '*' is what this name's '*' matched.",
    )
    default = models.BooleanField(
        "default route", default=False, help_text="Serves what matches no route, as if this route's name was asked for."
    )
    strategy = models.CharField(
        max_length=16,
        choices=strategy_choices,
        default=rules.WEIGHTED,
        help_text="In which order the targets of one tier are tried.",
    )
    sticky = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text="Calls of one session stay with one target: a header's name such as X-Session-Id, or 'user'.",
    )
    retries = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text=f"More attempts, after a pause, when every target failed; 0: none; empty: {rules.DEFAULT_RETRIES}.",
    )
    cache_ttl = models.PositiveIntegerField(
        "cache lifetime", null=True, blank=True, help_text="Seconds; 0: no cache; empty: the default."
    )
    answer_as_asked = models.BooleanField(
        default=False, help_text="The answer's 'model' is the name that was asked for, not the upstream's."
    )
    description = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name", "team")
        constraints = [models.UniqueConstraint(fields=["name", "team"], name="routing_route_once")]

    def __str__(self) -> str:
        return f"{self.name} (team {self.team})" if self.team else self.name

    def clean(self) -> None:
        """Apply the rules of `routing.rules`. Raises ValidationError by field."""
        errors: dict[str, str] = {}
        collect(errors, "name", rules.check_route_name, self.name)
        _collect_filled(errors, "team", rules.check_team, self.team)
        _collect_filled(errors, "alias_of", rules.check_alias, self.name, self.alias_of)
        _collect_filled(errors, "sticky", rules.check_sticky, self.sticky)
        collect(errors, "retries", rules.check_whole, self.retries, rules.MAX_RETRIES, "retries")
        collect(errors, "cache_ttl", rules.check_whole, self.cache_ttl, rules.MAX_CACHE_TTL, "cache lifetime")
        if errors:
            raise ValidationError(errors)


class Target(models.Model):
    """One way to serve a route: provider, upstream model, tier and weight."""

    route = models.ForeignKey(Route, on_delete=models.CASCADE, related_name="targets")
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="targets")
    model = models.CharField(
        "upstream model",
        max_length=rules.MAX_NAME,
        blank=True,
        default="",
        help_text="Empty: the name that was asked for. In a pattern's target, '*' is what the pattern's '*' matched.",
    )
    tier = models.PositiveSmallIntegerField(default=0, help_text="Lower tiers are tried first.")
    weight = models.PositiveIntegerField(
        default=1, help_text="Share of the calls inside its tier; 0: only when the others of its tier failed."
    )
    position = models.PositiveIntegerField(default=0)
    enabled = models.BooleanField(default=True)
    streaming = condition("streams")
    tools = condition("tools")
    images = condition("images")
    json_schema = condition("a JSON schema for the answer", "JSON schema")
    max_context = models.PositiveIntegerField(
        "largest prompt", null=True, blank=True, help_text="Tokens, estimated from the size of the request."
    )
    tag = models.CharField(
        max_length=280, blank=True, default="", help_text="Only calls with this tag, written name=value."
    )
    share = models.FloatField(
        "canary share", null=True, blank=True, help_text="Percent of the calls that try this target first; empty: none."
    )
    shadow = models.FloatField(
        "shadow share",
        null=True,
        blank=True,
        help_text="Percent of the calls of which this target gets a copy, whose answer nobody sees.",
    )
    connect_timeout = models.FloatField(null=True, blank=True, help_text="Seconds; empty: the provider's.")
    first_byte_timeout = models.FloatField(null=True, blank=True, help_text="Seconds; empty: the provider's.")
    idle_timeout = models.FloatField(null=True, blank=True, help_text="Seconds; empty: the provider's.")
    total_timeout = models.FloatField(null=True, blank=True, help_text="Seconds; empty: the provider's.")

    class Meta:
        ordering = ("position", "id")

    def __str__(self) -> str:
        return f"{self.provider.name}/{self.model or self.route.name}"

    def clean(self) -> None:
        """Apply the rules of `routing.rules`. Raises ValidationError by field."""
        errors: dict[str, str] = {}
        collect(errors, "tier", rules.check_whole, self.tier, rules.MAX_TIER, "tier")
        collect(errors, "weight", rules.check_whole, self.weight, rules.MAX_WEIGHT, "weight")
        collect(errors, "max_context", rules.check_whole, self.max_context, rules.MAX_CONTEXT, "largest prompt")
        _collect_filled(errors, "tag", rules.check_tag, self.tag)
        collect(errors, "share", rules.check_percent, self.share, "canary share")
        collect(errors, "shadow", rules.check_percent, self.shadow, "shadow share")
        if "shadow" not in errors:
            collect(errors, "shadow", rules.check_shares, self.share, self.shadow)
        for timeout in TIMEOUTS:
            collect(errors, timeout, rules.check_seconds, getattr(self, timeout), timeout.replace("_", " "))
        if "route" in self._state.fields_cache or self.route_id is not None:
            collect(errors, "model", rules.check_target_model, self.route.name, self.model)
        if errors:
            raise ValidationError(errors)


def _collect_filled(errors: dict[str, str], field: str, check: Callable[..., None], *values: str) -> None:
    """Collect the complaint about the last of `values`, unless it is empty."""
    if values[-1]:
        collect(errors, field, check, *values)
