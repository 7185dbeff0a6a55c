"""Routes in the admin, each with its targets beneath it."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest

from routing.admin.base import ON_OFF, BaseInlineFormSet, ModelForm, TabularInline, badge
from routing.admin.publishing import PublishingAdmin
from routing.models import Route, Target


class RouteForm(ModelForm):
    why = forms.CharField(required=False, max_length=500, help_text="Kept with the revision.", label="Why")

    class Meta:
        model = Route
        fields = ("name", "description", "enabled", "cache_ttl", "answer_as_asked")


class TargetFormSet(BaseInlineFormSet):
    """A new target goes to the end of the list, unless it was dragged somewhere."""

    def save_new(self, form: Any, commit: bool = True) -> Any:
        if form.cleaned_data.get("position") is None:
            form.instance.position = len(self.forms)
        return super().save_new(form, commit=commit)


class TargetInline(TabularInline):
    model = Target
    formset = TargetFormSet
    fields = ("provider", "model", "tier", "weight", "enabled", "position")
    ordering = ("position", "id")
    ordering_field = "position"
    hide_ordering_field = True
    hide_title = True
    extra = 0
    min_num = 0

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        fields: Any = formset.form.base_fields
        if "provider" in fields:  # absent for those who only look
            for icon in ("can_add_related", "can_change_related", "can_delete_related", "can_view_related"):
                setattr(fields["provider"].widget, icon, False)
            fields["position"].initial, fields["position"].required = None, False
        return formset


@admin.register(Route)
class RouteAdmin(PublishingAdmin):
    form = RouteForm
    inlines = (TargetInline,)
    list_display = ("name", "goes_to", "cache_lifetime", "state")
    list_filter = ("enabled", "targets__provider")
    search_fields = ("name", "description", "targets__model")
    fieldsets = (
        (None, {"fields": ("name", "enabled", "description")}),
        ("Answers", {"fields": ("cache_ttl", "answer_as_asked")}),
        ("This change", {"fields": ("why",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        targets = Target.objects.select_related("provider").order_by("tier", "position", "id")
        return super().get_queryset(request).prefetch_related(Prefetch("targets", queryset=targets))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        live = Target.objects.filter(route=form.instance, enabled=True, provider__enabled=True)
        if form.instance.enabled and not live.exists():
            messages.warning(request, f"{form.instance} has no live target: who asks for it gets an error.")

    @admin.display(description="Goes to")
    def goes_to(self, route: Route) -> str:
        """Targets by tier: those that share one stand together, `then` leads to the next tier."""
        tiers: dict[int, list[str]] = {}
        for target in route.targets.all():
            off = "" if target.enabled and target.provider.enabled else " (off)"
            weight = f" ×{target.weight}" if target.weight != 1 else ""  # noqa: RUF001
            tiers.setdefault(target.tier, []).append(
                f"{target.provider.name}/{target.model or route.name}{weight}{off}"
            )
        return ", then ".join(" or ".join(names) for names in tiers.values()) or "nowhere"

    @badge("State", ON_OFF, ordering="enabled")
    def state(self, route: Route) -> str:
        return "on" if route.enabled else "off"

    @admin.display(description="Cache", ordering="cache_ttl")
    def cache_lifetime(self, route: Route) -> str:
        if route.cache_ttl is None:
            return "default"
        return f"{route.cache_ttl} s" if route.cache_ttl else "off"
