"""Providers in the admin: a credential goes in and never comes out, an address is checked before it is saved."""

import os
from typing import Any
from urllib.parse import urlencode, urlsplit

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_post_parameters

from routing.admin.base import ON_OFF, ModelForm, badge
from routing.admin.filters import ProviderInTrouble
from routing.admin.publishing import PublishingAdmin
from routing.fields import SecretUnreadable
from routing.kinds import KINDS
from routing.models import Provider

# Where a call may go, and whose secret goes with it, is more than the daily work of ops.
SUPERUSER_FIELDS = ("credential_env", "allow_private", "allow_insecure", "forward_authorization")
STORED, VARIABLE, UNSET, UNREADABLE, NONE = "stored", "variable", "not set", "unreadable", "none"


class ProviderForm(ModelForm):
    credential = forms.CharField(
        label="New credential",
        required=False,
        strip=True,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Stored encrypted and never shown again. Empty keeps what is stored.",
    )
    forget = forms.BooleanField(required=False, label="Forget the stored credential")
    why = forms.CharField(required=False, max_length=500, help_text="Kept with the revision.", label="Why")

    class Meta:
        model = Provider
        fields = (
            "name",
            "kind",
            "base_url",
            "credential",
            "credential_env",
            "free",
            "allow_private",
            "allow_insecure",
            "by_name",
            "forward_authorization",
            "enabled",
            "connect_timeout",
            "first_byte_timeout",
            "idle_timeout",
            "total_timeout",
            "note",
        )

    by_superuser = False  # set by the admin class for each request

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["credential"] = ""
        self._address_before = self.instance.base_url

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("forget"):
            if cleaned.get("credential"):
                self.add_error("forget", "Either forget the stored credential or enter a new one.")
            self.instance.credential = ""
        return cleaned

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if "base_url" not in self.errors and self._would_leak():
            self.add_error(
                "base_url",
                "The credential belongs to the old address: enter it again (or forget it) to call another host.",
            )

    def _would_leak(self) -> bool:
        """Whether a credential that this person cannot read would be sent to another host than before."""
        if self.instance.pk is None or _host(self.instance.base_url) == _host(self._address_before):
            return False
        if self.instance.credential_env:
            return not self.by_superuser
        return self.instance.has_stored_credential and not self.cleaned_data.get("credential")


@admin.register(Provider)
class ProviderAdmin(PublishingAdmin):
    form = ProviderForm
    list_display = ("name", "kind", "base_url", "credential_state", "billing", "used_by", "state")
    list_filter = ("kind", "enabled", ProviderInTrouble, "free")
    search_fields = ("name", "base_url", "note")
    shortest_search = 1  # there are few, and a target's row offers them by what is typed
    readonly_fields = ("credential_now", "prices")
    fieldsets = (
        (None, {"fields": ("name", "kind", "base_url", "enabled", "note")}),
        ("Credential", {"fields": ("credential_now", "credential", "forget", "credential_env")}),
        (
            "What is allowed",
            {"fields": (("free", "prices"), "by_name", "allow_private", "allow_insecure", "forward_authorization")},
        ),
        (
            "Time limits",
            {"fields": (("connect_timeout", "first_byte_timeout"), ("idle_timeout", "total_timeout"))},
        ),
        ("This change", {"fields": ("why",)}),
    )

    @method_decorator(sensitive_post_parameters("credential"))
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().changeform_view(request, *args, **kwargs)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        counted: QuerySet[Any] = rows.annotate(routes=Count("targets__route", distinct=True)).order_by("name")
        return counted

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.by_superuser = request.user.is_superuser
        return form

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if request.user.is_superuser:
            return self.readonly_fields
        trusted = obj is not None and (obj.allow_private or obj.allow_insecure or obj.forward_authorization)
        return (*self.readonly_fields, *SUPERUSER_FIELDS, *(("base_url",) if trusted else ()))

    @badge("Credential", {STORED: "success", VARIABLE: "success", UNSET: "danger", UNREADABLE: "danger"})
    def credential_state(self, provider: Provider) -> tuple[str, str]:
        return state_of(provider)

    @admin.display(description="Credential")
    def credential_now(self, provider: Provider) -> str:
        return state_of(provider)[1]

    @admin.display(description="Cost", ordering="free")
    def billing(self, provider: Provider) -> str:
        return "free" if provider.free else "by price"

    @admin.display(description="Prices")
    def prices(self, provider: Provider) -> SafeString | str:
        """Lead to the provider's own prices: by token, by second, or nothing but its kind's."""
        if not provider.pk:
            return "by its kind; its own can be set once it is saved"
        own = f"{reverse('admin:accounts_price_changelist')}?{urlencode({'provider__exact': provider.name})}"
        one = f"{reverse('admin:accounts_price_add')}?{urlencode({'provider': provider.name, 'model': '*'})}"
        link = '<a class="text-link" href="{}">{}</a>'
        return format_html(f"{link} · {link}", own, "Its own", one, "One for all its models")

    @badge("State", ON_OFF, ordering="enabled")
    def state(self, provider: Provider) -> str:
        return "on" if provider.enabled else "off"

    @admin.display(description="Routes", ordering="routes")
    def used_by(self, provider: Any) -> int:
        return int(provider.routes)


def state_of(provider: Provider) -> tuple[str, str]:
    """What may be said about a provider's credential: a word for its colour and what to show."""
    if provider.credential_env:
        there = bool(os.environ.get(provider.credential_env, "").strip())
        return (VARIABLE if there else UNSET), f"variable {provider.credential_env} ({'set' if there else 'not set'})"
    if not provider.has_stored_credential:
        needed = provider.kind in KINDS and KINDS[provider.kind].credential_required
        return (UNSET, "missing") if needed else (NONE, "none")
    try:
        return STORED, f"…{provider.last4}" if provider.last4 else STORED
    except SecretUnreadable:
        return UNREADABLE, "cannot be decrypted"


def _host(address: str) -> tuple[str, str]:
    try:
        parts = urlsplit(address)
        return parts.scheme, parts.netloc.lower()
    except ValueError:
        return "", address
