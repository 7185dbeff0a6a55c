"""Providers as rows: a place we call, its address and its credential."""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from routing import rules
from routing.fields import EncryptedTextField, Sealed
from routing.kinds import KINDS
from routing.models.checking import collect

TIMEOUTS = ("connect_timeout", "first_byte_timeout", "idle_timeout", "total_timeout")


def kind_choices() -> list[tuple[str, str]]:
    """Name and label of each kind; a function, so that a new kind needs no migration."""
    return [(kind.name, kind.label) for kind in KINDS.values()]


class Provider(models.Model):
    """A place we call: kind, address, credential."""

    name = models.CharField(max_length=64, unique=True, help_text="Letters, digits, '.', '_' and '-'.")
    kind = models.CharField(max_length=32, choices=kind_choices)
    base_url = models.CharField(
        "base URL", max_length=500, blank=True, help_text="Empty: where this kind usually lives."
    )
    credential = EncryptedTextField(blank=True, default="", help_text="Stored encrypted and never shown again.")
    credential_env = models.CharField(
        "credential variable",
        max_length=200,
        blank=True,
        default="",
        help_text="Name of an environment variable that holds the credential, instead of storing it here.",
    )
    credential_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    free = models.BooleanField(default=False, help_text="Self-hosted: its calls cost 0 instead of being unpriced.")
    allow_private = models.BooleanField(default=False, help_text="The address may be on this machine or network.")
    allow_insecure = models.BooleanField(default=False, help_text="Plain http to a public address is accepted.")
    by_name = models.BooleanField(
        "reachable by name", default=False, help_text="Each of its models can be asked for as provider/model."
    )
    forward_authorization = models.BooleanField(
        "forward the caller's Authorization",
        default=False,
        help_text="For OpenAI compatible providers without a credential; callers send their qlite key in x-api-key.",
    )
    enabled = models.BooleanField(default=True)
    connect_timeout = models.FloatField(null=True, blank=True, help_text="Seconds; empty: the default.")
    first_byte_timeout = models.FloatField(null=True, blank=True, help_text="Seconds; empty: the default.")
    idle_timeout = models.FloatField(
        null=True, blank=True, help_text="Seconds between two chunks of a stream; empty: the default."
    )
    total_timeout = models.FloatField(null=True, blank=True, help_text="Seconds; empty: the default.")
    note = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    _credential_loaded: Any = ""

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> "Provider":
        provider = super().from_db(*args, **kwargs)
        provider._credential_loaded = provider._credential_held()
        return provider

    def refresh_from_db(self, using: str | None = None, fields: Any = None, from_queryset: Any = None) -> None:
        super().refresh_from_db(using=using, fields=fields, from_queryset=from_queryset)
        if fields is None or "credential" in fields:
            self._credential_loaded = self._credential_held()

    @property
    def has_stored_credential(self) -> bool:
        """Whether a credential is stored, readable or not."""
        return bool(self._credential_held()[0])

    @property
    def last4(self) -> str:
        """The last four characters of the stored credential, '' if there is none or it is too short to hint at.

        Raises SecretUnreadable.
        """
        return self.credential[-4:] if len(self.credential or "") >= 12 else ""

    def clean_fields(self, exclude: Iterable[str] | None = None) -> None:
        # A sealed credential was checked when it was entered, and one that cannot be read must not block other edits.
        exclude = set(exclude or ())
        if self.has_stored_credential:
            exclude.add("credential")
        super().clean_fields(exclude=exclude)

    def clean(self) -> None:
        """Apply the rules of `routing.rules` and `routing.address`. Raises ValidationError by field."""
        errors: dict[str, str] = {}
        kind = KINDS.get(self.kind)
        self.base_url = (self.base_url or (kind.base_url if kind else "")).rstrip("/")
        collect(errors, "name", rules.check_provider_name, self.name)
        collect(errors, "base_url", self._check_address)
        if self.credential_env:
            collect(errors, "credential_env", self._check_variable)
        if self.forward_authorization:
            collect(errors, "forward_authorization", self._check_forwarding)
        for timeout in TIMEOUTS:
            label = timeout.replace("_", " ")
            collect(errors, timeout, rules.check_seconds, getattr(self, timeout), label)
        if errors:
            raise ValidationError(errors)

    def save(self, *args: Any, **kwargs: Any) -> None:
        held = self._credential_held()
        if held != (self._credential_loaded or ("", "")):
            self.credential_changed_at = timezone.now()
            if kwargs.get("update_fields") is not None:
                kwargs["update_fields"] = {*kwargs["update_fields"], "credential_changed_at"}
        super().save(*args, **kwargs)
        self._credential_loaded = held

    def _credential_held(self) -> tuple[Any, str]:
        """The sealed credential and the variable's name, as they lie in this instance."""
        sealed = self.__dict__.get("credential", "")
        return (sealed if isinstance(sealed, Sealed) else ""), self.__dict__.get("credential_env", "")

    def _check_address(self) -> None:
        kind = KINDS.get(self.kind)
        if kind is None:
            return
        if not kind.network:
            if self.base_url:
                raise ValueError(f"{kind.label} answers without a network and takes no address")
            return
        if not self.base_url:
            raise ValueError(f"{kind.label} needs the address of the service, such as https://llm.example.com/v1")
        kind.check_url(self.base_url, allow_private=self.allow_private, allow_insecure=self.allow_insecure)

    def _check_forwarding(self) -> None:
        if self.kind != "openai-compatible":
            raise ValueError("only an OpenAI compatible provider can get the caller's own Authorization")
        if self.has_stored_credential or self.credential_env:
            raise ValueError("the provider has a credential of its own: that one is sent")

    def _check_variable(self) -> None:
        if self.has_stored_credential:
            raise ValueError("give either a credential or the name of a variable, not both")
        rules.check_variable_name(self.credential_env)
