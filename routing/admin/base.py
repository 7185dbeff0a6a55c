"""What this room's admin classes build on: the module that `settings.ADMIN_BASE` names, else Django's own admin."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from django.conf import settings

ON_OFF = {"on": "success", "off": "danger"}
F = TypeVar("F", bound=Callable[..., Any])
_base: Any = import_module(getattr(settings, "ADMIN_BASE", "django.contrib.admin"))

if TYPE_CHECKING:
    from django import forms
    from django.contrib import admin
    from django.forms.models import BaseInlineFormSet as _InlineFormSet

    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    ModelForm = forms.ModelForm[Any]
    BaseInlineFormSet = _InlineFormSet[Any, Any, Any]
else:
    from django.forms import models

    ModelForm = models.ModelForm
    BaseInlineFormSet = models.BaseInlineFormSet
    ModelAdmin = _base.ModelAdmin
    TabularInline = _base.TabularInline


def badge(description: str, colours: dict[str, str], *, ordering: str | None = None) -> Callable[[F], F]:
    """Show a column as a coloured label where the base can; `colours` is success, info, warning or danger by value."""

    def mark(function: F) -> F:
        function.short_description = description  # type: ignore[attr-defined]
        function.label = colours  # type: ignore[attr-defined]
        function.admin_order_field = ordering  # type: ignore[attr-defined]
        return function

    return mark


class ReadOnlyAdmin(ModelAdmin):
    """Rows that people look at: nothing is added, changed or deleted here, whatever a role says."""

    actions = None

    def has_add_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        return False
