"""Cache entries in the admin. An edit or a purge reaches every process: it has no origin and a new `updated_at`."""

from typing import Any

import orjson
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from proxy import replay
from proxy.cache import CHAT, CHUNKS, EVENTS
from proxy.models import CacheEntry
from routing.admin.base import ModelAdmin, ModelForm, badge

LIVE, PINNED, EXPIRED, PURGED = "live", "pinned", "expired", "purged"
NO_CHAT = (
    "An answer is a JSON object with `object` chat.completion and at least one of `choices`, each with a `message`."
)


class EntryForm(ModelForm):
    answer = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 18, "spellcheck": "false"}),
        strip=False,
        help_text="What the team's next caller gets: JSON, or a stream's events, which cannot be edited.",
    )

    class Meta:
        model = CacheEntry
        fields = ("expires_at", "pinned", "note", "answer")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "answer" in self.fields and self.instance.form in {EVENTS, CHUNKS}:
            self.fields["answer"].disabled = True  # a form would change the ends of its lines
        if "answer" in self.fields and not self.instance.answer:
            # A stream that is still kept as it came; its text appears here once it is assembled.
            self.fields["answer"].required = False

    def clean_answer(self) -> str:
        text: str = self.cleaned_data["answer"]
        if self.instance.form == CHAT:
            return check_answer(text) if text or self.instance.answer else ""
        return text if self.fields["answer"].disabled else check_object(text)


@admin.register(CacheEntry)
class CacheEntryAdmin(ModelAdmin):
    form = EntryForm
    show_full_result_count = False
    list_display = ("short_key", "team", "model", "state", "hits", "size", "created_at", "expires_at")
    list_filter = ("pinned", "purged", "expires_at", "team")
    search_fields = ("key", "team", "model", "note")
    readonly_fields = (
        *("key", "team", "model", "route", "served_by", "form", "state", "hits", "size", "usage", "created_at"),
    )
    actions = ("purge", "pin", "unpin")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("team", "model"),
                    ("route", "served_by"),
                    ("state", "hits"),
                    ("form", "size"),
                    "created_at",
                    "key",
                )
            },
        ),
        ("Keep it", {"fields": ("expires_at", "pinned", "note")}),
        ("Answer", {"fields": ("answer", "usage")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.defer("transcript")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)  # purging is the deletion that the processes hear of
        return actions

    def save_model(self, request: HttpRequest, obj: CacheEntry, form: Any, change: bool) -> None:
        obj.origin, obj.updated_at, obj.bytes = "", timezone.now(), len(obj.answer.encode()) or obj.bytes
        # Only what was edited: the gateway counts hits in the same row.
        obj.save(update_fields=["expires_at", "pinned", "note", "answer", "bytes", "origin", "updated_at"])

    def delete_model(self, request: HttpRequest, obj: CacheEntry) -> None:
        purge(CacheEntry.objects.filter(pk=obj.pk))

    @admin.action(description="Purge the selected entries", permissions=["delete"])
    def purge(self, request: HttpRequest, entries: QuerySet[CacheEntry]) -> None:
        count = purge(entries)
        messages.success(request, f"Purged {count} entries. No process answers from them after a second.")

    @admin.action(description="Pin the selected entries", permissions=["change"])
    def pin(self, request: HttpRequest, entries: QuerySet[CacheEntry]) -> None:
        messages.success(request, f"Pinned {_edit(entries, pinned=True)} entries.")

    @admin.action(description="Unpin the selected entries", permissions=["change"])
    def unpin(self, request: HttpRequest, entries: QuerySet[CacheEntry]) -> None:
        messages.success(request, f"Unpinned {_edit(entries, pinned=False)} entries.")

    @admin.display(description="Entry", ordering="key")
    def short_key(self, entry: CacheEntry) -> str:
        return entry.key[:12]

    @badge("State", {LIVE: "success", PINNED: "info", EXPIRED: "", PURGED: "danger"})
    def state(self, entry: CacheEntry) -> str:
        if entry.purged:
            return PURGED
        if entry.pinned:
            return PINNED
        return EXPIRED if entry.expires_at <= timezone.now() else LIVE

    @admin.display(description="Size", ordering="bytes")
    def size(self, entry: CacheEntry) -> str:
        return f"{entry.bytes:,} B"

    @admin.display(description="Served by")
    def served_by(self, entry: CacheEntry) -> str:
        return f"{entry.provider}/{entry.served_model}"


def purge(entries: QuerySet[CacheEntry]) -> int:
    """Mark entries so that every process forgets them. Returns how many."""
    return _edit(entries.filter(purged=False), purged=True)


def check_object(text: str) -> str:
    """Return `text` if it is a JSON object. Raises ValidationError."""
    if not isinstance(_loaded(text), dict):
        raise ValidationError("An answer is a JSON object.")
    return text


def _loaded(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValidationError(f"This is not JSON: {error}") from None


def check_answer(text: str) -> str:
    """Return `text` if it can be served as a chat completion. Raises ValidationError."""
    answer = _loaded(text)
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or not choices or answer.get("object") != "chat.completion":
        raise ValidationError(NO_CHAT)
    if not all(isinstance(each, dict) and isinstance(each.get("message"), dict) for each in choices):
        raise ValidationError(NO_CHAT)
    try:
        replay.as_stream(answer, usage=None, wants_usage=True)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValidationError(f"This could not be given again as a stream: {error}") from None
    return text


def _edit(entries: QuerySet[CacheEntry], **values: Any) -> int:
    ids = list(entries.values_list("pk", flat=True))
    return CacheEntry.objects.filter(pk__in=ids).update(origin="", updated_at=timezone.now(), **values)
