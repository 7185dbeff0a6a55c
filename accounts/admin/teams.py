"""Teams in the admin, with the people in them."""

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone

from accounts.admin.base import ON_OFF, ModelAdmin, TabularInline, badge
from accounts.admin.careful import CarefulForm
from accounts.models import Membership, Team

WORKING = Q(keys__disabled=False) & (Q(keys__expires_at=None) | Q(keys__expires_at__gt=Now()))


class TeamForm(CarefulForm):
    class Meta:
        model = Team
        fields = ("name", "title", "cost_centre", "owner", "priced_only", "disabled")


class MembershipInline(TabularInline):
    model = Membership
    fields = ("user", "role")
    autocomplete_fields = ("user",)
    verbose_name, verbose_name_plural = "member", "Members"
    hide_title = True
    extra = 0


@admin.register(Team)
class TeamAdmin(ModelAdmin):
    form = TeamForm
    inlines = (MembershipInline,)
    list_display = ("name", "title", "cost_centre", "owner", "members", "live_keys", "state")
    list_filter = ("disabled",)
    search_fields = ("name", "title", "cost_centre", "owner")
    fields = (("name", "title"), ("cost_centre", "owner"), "priced_only", "disabled")
    actions = ("disable", "enable")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        counted: QuerySet[Any] = rows.annotate(
            people=Count("memberships", distinct=True),
            usable=Count("keys", filter=WORKING, distinct=True),
        )
        return counted

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # The name stands on every cost record; another one would be another team to finance.
        return ("name",) if obj is not None else ()

    @badge("State", ON_OFF, ordering="disabled")
    def state(self, team: Team) -> str:
        return "off" if team.disabled else "on"

    @admin.display(description="Members", ordering="people")
    def members(self, team: Any) -> int:
        return int(team.people)

    @admin.display(description="Active keys", ordering="usable")
    def live_keys(self, team: Any) -> int:
        return int(team.usable)

    @admin.action(description="Disable the selected teams", permissions=["change"])
    def disable(self, request: HttpRequest, teams: QuerySet[Team]) -> None:
        self._switch(request, teams, True)

    @admin.action(description="Enable the selected teams", permissions=["change"])
    def enable(self, request: HttpRequest, teams: QuerySet[Team]) -> None:
        self._switch(request, teams, False)

    @transaction.atomic
    def _switch(self, request: HttpRequest, teams: QuerySet[Team], disabled: bool) -> None:
        word = "Disabled" if disabled else "Enabled"
        changing = list(teams.exclude(disabled=disabled))
        for team in changing:
            self.log_change(request, team, f"{word} in bulk")
        chosen = Team.objects.filter(pk__in=[team.pk for team in changing])
        chosen.update(disabled=disabled, updated_at=timezone.now())
        messages.success(request, f"{word} {len(changing)} teams. Their keys follow within a second.")
