"""People, roles and the audit trail in the admin: Django's own tables in the clothes of the rest."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest

from accounts.admin.careful import CarefulForm
from qlite_site import connection  # noqa: F401  registers the provider's page
from qlite_site.adminbase import AdminPasswordChangeForm, ModelAdmin, UserChangeForm, UserCreationForm
from qlite_site.models import LoginFailure
from routing.admin.base import ReadOnlyAdmin

admin.site.index_title = "Overview"
admin.site.login_template = "admin/signing_in.html"
admin.site.unregister(User)
admin.site.unregister(Group)


class PersonForm(CarefulForm, UserChangeForm):  # type: ignore[misc]
    """Who was switched off, or lost a role, does not come back with a form that was opened before."""


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    """Who may change people may make anybody a superuser, so no role has it: superusers only."""

    form = PersonForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "first_name", "last_name", "roles", "is_staff", "is_superuser", "is_active")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Who it is", {"fields": (("first_name", "last_name"), "email")}),
        ("What they may do", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    looked_at = ((None, {"fields": ("username", ("first_name", "last_name"), "email", "is_active", "roles")}),)
    readonly_fields = ("roles", "last_login", "date_joined")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        changes = self.has_change_permission(request, obj) or obj is None
        return super().get_fieldsets(request, obj) if changes else self.looked_at

    @admin.display(description="Roles")
    def roles(self, user: User) -> str:
        return ", ".join(sorted(group.name for group in user.groups.all())) or "none"


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):  # type: ignore[misc]
    pass


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin):
    list_display = ("action_time", "user", "row", "object_repr", "what")
    list_filter = ("action_time", "content_type")
    list_select_related = ("user", "content_type")
    search_fields = ("object_repr", "user__username")
    sortable_by = ("action_time",)
    fields = ("action_time", "user", "row", "object_id", "object_repr", "what")
    readonly_fields = ("row", "what")

    @admin.display(description="Kind of row")
    def row(self, entry: LogEntry) -> str:
        return entry.content_type.name if entry.content_type else "unknown"

    @admin.display(description="What")
    def what(self, entry: LogEntry) -> str:
        return entry.get_change_message() or entry.get_action_flag_display()


@admin.register(LoginFailure)
class LoginFailureAdmin(ReadOnlyAdmin):
    list_display = ("at", "account", "address", "counts")
    list_filter = ("at",)
    search_fields = ("account", "address")
    fields = ("at", "account", "address", "counts")
