"""What every admin class builds on: django-unfold's classes with the house rules. `settings.ADMIN_BASE` names this
module and the rooms find it there, so plain Django admin (or another skin) stays one setting away.
"""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin as UnfoldModelAdmin
from unfold.admin import TabularInline as UnfoldTabularInline
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.views import ChangeList as UnfoldChangeList
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

SHORTEST_SEARCH, LONGEST_SEARCH = 3, 200  # characters
LONGEST_KEY = 19  # digits that every database takes
TEXT_LOOKUPS = {
    *("regex", "iregex", "contains", "icontains", "startswith", "istartswith", "endswith", "iendswith", "search")
}
# A form may declare fields with plain widgets; here they get the looks that unfold gives only to the model's own.
DRESSED: dict[type[forms.Widget], type[forms.Widget]] = {
    forms.TextInput: UnfoldAdminTextInputWidget,
    forms.Textarea: UnfoldAdminTextareaWidget,
    forms.PasswordInput: UnfoldAdminPasswordWidget,
    forms.CheckboxInput: UnfoldBooleanSwitchWidget,
    forms.Select: UnfoldAdminSelectWidget,
}

# What an empty list says, where "add one" is not the answer.
EMPTY: dict[str, str] = {
    "accounts.adjustment": "A correction is booked on the page of the request record that it corrects.",
    "accounts.apikey": "Teams ask for keys on their own pages; here you can make one at once.",
    "accounts.budgetalert": "One appears when spending passes a threshold of a budget.",
    "accounts.dailytotal": "They add up request records, within a second of each call.",
    "accounts.keyrequest": "Members of a team ask for a key on their own pages.",
    "accounts.ledgerday": "A day is closed the night after it ended.",
    "accounts.ledgerquarantine": "That is good: every row found its place in the ledger.",
    "accounts.repricing": "After a price was mended: see what a period would cost by today's prices, then book it.",
    "accounts.requestrecord": "Calls appear here within a second.",
    "admin.logentry": "What people change in the admin is noted here.",
    "proxy.cacheentry": "Answers that may be given again appear here within a second.",
    "qlite_site.loginfailure": "Failed attempts to sign in are noted here.",
    "routing.breaker": "One appears when a target fails often. Open one by hand to keep calls away from a target.",
    "routing.revision": "The first edit of a provider or route publishes one.",
}

__all__ = ["AdminPasswordChangeForm", "ModelAdmin", "TabularInline", "UserChangeForm", "UserCreationForm", "action"]


class ChangeList(UnfoldChangeList):  # type: ignore[misc]
    """Sorts by the columns that offer it; Django only leaves the arrows of the others away."""

    @property
    def emptiness(self) -> str:
        """What to say where there are no rows yet."""
        return EMPTY.get(self.opts.label_lower, "")

    def get_ordering_field(self, field_name: str) -> Any:
        offered = self.sortable_by is None or field_name in self.sortable_by
        return super().get_ordering_field(field_name) if offered else None


class Autocomplete(AutocompleteSelect):
    """Shows no choice for what cannot be the key of a row, where Django fails: a form need not come from its page."""

    def optgroups(self, name: str, value: Sequence[str], attr: dict[str, Any] | None = None) -> Any:
        return super().optgroups(name, [each for each in value if each.isdecimal() and len(each) < LONGEST_KEY], attr)


class Autocompletes:
    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):  # type: ignore[attr-defined]
            kwargs.setdefault("widget", Autocomplete(db_field, self.admin_site))  # type: ignore[attr-defined]
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]


class ModelAdmin(Autocompletes, UnfoldModelAdmin):  # type: ignore[misc]
    """No counts beside filters, no search that must read a whole table for one letter."""

    shortest_search = SHORTEST_SEARCH
    list_per_page = 50
    list_max_show_all = 200
    show_facets = ShowFacets.NEVER
    warn_unsaved_form = True
    formfield_overrides = {models.TextField: {"widget": UnfoldAdminTextareaWidget(attrs={"rows": 3})}}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ChangeList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Addresses may carry what filters produce, not a search through the text of every row."""
        return not TEXT_LOOKUPS & set(lookup.split("__")) and bool(super().lookup_allowed(lookup, value, request))

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any) -> Any:
        return dressed(super().get_form(request, obj, change, **kwargs))

    def response_action(self, request: HttpRequest, queryset: QuerySet[Model]) -> Any:
        """An action on what cannot be the key of a row is answered with a sentence."""
        try:
            for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
                self.opts.pk.to_python(key)
        except ValidationError:
            messages.warning(request, "Nothing was done: these are no rows of this list.")
            return None
        return super().response_action(request, queryset)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Model], search_term: str
    ) -> tuple[QuerySet[Model], bool]:
        """Search for 3 to 200 characters, fewer in a small table. The ORM escapes `%`, `_` and `\\` itself."""
        term = search_term.replace("\0", "").strip()
        if not term:
            return queryset, False
        if self.shortest_search <= len(term) <= LONGEST_SEARCH:
            found: Any = super().get_search_results(request, queryset, term)
            return found  # type: ignore[no-any-return]
        if "/autocomplete/" not in request.path:
            messages.warning(request, f"A search needs {self.shortest_search} to {LONGEST_SEARCH} characters.")
        return queryset.none(), False


class TabularInline(Autocompletes, UnfoldTabularInline):  # type: ignore[misc]
    """Rows whose fields have a name each: to the eye the column's head is one, to a screen reader it is not."""

    def get_formset(self, request: HttpRequest, obj: Model | None = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        for field in formset.form.base_fields.values():
            getattr(field.widget, "widget", field.widget).attrs.setdefault("aria-label", str(field.label))
        return formset


def dressed(form: Any) -> Any:
    """Give the form class's plain widgets their unfold counterparts, with the same attributes."""
    for field in form.base_fields.values():
        dress = DRESSED.get(type(field.widget))
        if dress is not None:
            attributes, choices = field.widget.attrs, getattr(field, "choices", None)
            field.widget = dress(attrs=attributes)
            if choices is not None:
                field.widget.choices = choices
    return form
