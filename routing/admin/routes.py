"""Routes in the admin, each with its targets beneath it."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html

from routing import rules
from routing.admin.base import ON_OFF, BaseInlineFormSet, ModelForm, TabularInline, badge
from routing.admin.filters import Leads, RouteInTrouble
from routing.admin.publishing import PublishingAdmin
from routing.models import TIMEOUTS, Route, Target

CONDITIONS = ("streaming", "tools", "images", "json_schema")


class RouteForm(ModelForm):
    why = forms.CharField(required=False, max_length=500, help_text="Kept with the revision.", label="Why")

    class Meta:
        model = Route
        fields = (
            *("name", "team", "description", "enabled", "alias_of", "default", "strategy", "sticky", "retries"),
            *("cache_ttl", "answer_as_asked"),
        )


class TargetForm(ModelForm):
    why = forms.CharField(required=False, max_length=500, help_text="Kept with the revision.", label="Why")

    class Meta:
        model = Target
        fields = (
            *("provider", "model", "tier", "weight", "enabled", *CONDITIONS, "max_context", "tag", "share", "shadow"),
            *TIMEOUTS,
        )


class TargetFormSet(BaseInlineFormSet):
    """A new target goes to the end of the list, unless it was dragged somewhere."""

    def clean(self) -> None:
        super().clean()
        kept = [form for form in self.forms if form.has_changed() or form.instance.pk]
        if self.instance.alias_of and any(form not in self.deleted_forms for form in kept):
            raise forms.ValidationError(f"This route is an alias: {rules.NO_TARGETS_OF_ITS_OWN}.")

    def save_existing(self, form: Any, obj: Any, commit: bool = True) -> Any:
        if form.instance.position is None:
            form.instance.position = form.initial.get("position") or 0
        return super().save_existing(form, obj, commit=commit)

    def save_new(self, form: Any, commit: bool = True) -> Any:
        if form.cleaned_data.get("position") is None:
            form.instance.position = len(self.forms)
        return super().save_new(form, commit=commit)


class TargetInline(TabularInline):
    model = Target
    formset = TargetFormSet
    fields = ("provider", "model", "tier", "weight", "enabled", "terms", "position")
    readonly_fields = ("terms",)
    autocomplete_fields = ("provider",)
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

    @admin.display(description="Takes")
    def terms(self, target: Target) -> str:
        """What is said of a target beyond this line, with the way to the page where it can be changed."""
        if target._state.adding:
            return "all"
        address = reverse("admin:routing_target_change", args=[target.pk])
        return format_html('<a href="{}"><u>{}</u></a>', address, in_words(target) or "all")


@admin.register(Target)
class TargetAdmin(PublishingAdmin):
    """One target with its conditions, shares and time limits; reached from its route."""

    form = TargetForm
    actions = None  # type: ignore[assignment]
    readonly_fields = ("route",)
    autocomplete_fields = ("provider",)
    fieldsets = (
        (None, {"fields": ("route", ("provider", "model"), ("tier", "weight"), "enabled")}),
        ("Takes only some calls", {"fields": (CONDITIONS[:2], CONDITIONS[2:], ("max_context", "tag"))}),
        ("Share of the calls", {"fields": (("share", "shadow"),)}),
        ("Time limits", {"fields": (TIMEOUTS[:2], TIMEOUTS[2:])}),
        ("This change", {"fields": ("why",)}),
    )

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False  # it has no list of its own

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def response_post_save_change(self, request: HttpRequest, obj: Target) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("admin:routing_route_change", args=[obj.route_id]))

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: int) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("admin:routing_route_changelist"))


@admin.register(Route)
class RouteAdmin(PublishingAdmin):
    form = RouteForm
    inlines = (TargetInline,)
    actions = ("enable", "disable", "set_tier")
    list_display = ("name", "team", "goes_to", "cache_lifetime", "state")
    list_filter = ("enabled", Leads, RouteInTrouble, "targets__provider", "team", "default", "strategy")
    search_fields = ("name", "team", "alias_of", "description", "targets__model")
    fieldsets = (
        (None, {"fields": (("name", "team"), "alias_of", ("enabled", "default"), "description")}),
        ("Choice of the target", {"fields": (("strategy", "retries"), "sticky")}),
        ("Answers", {"fields": (("cache_ttl", "answer_as_asked"),)}),
        ("This change", {"fields": ("why",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        targets = Target.objects.select_related("provider").order_by("tier", "position", "id")
        return super().get_queryset(request).prefetch_related(Prefetch("targets", queryset=targets))

    @admin.display(description="Goes to")
    def goes_to(self, route: Route) -> str:
        """Targets by tier: those that share one stand together, `then` leads to the next tier."""
        if route.alias_of:
            return f"where {route.alias_of} goes"
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


def in_words(target: Target) -> str:
    """What a target takes and has of its own, in a few words."""
    words = [f"{field.replace('_', ' ')} {getattr(target, field)}" for field in CONDITIONS if _is_set(target, field)]
    if target.max_context is not None:
        words.append(f"up to {target.max_context:,} tokens")
    if target.tag:
        words.append(target.tag)
    if target.share is not None:
        words.append(f"canary {target.share:g} %")
    if target.shadow is not None:
        words.append(f"shadow {target.shadow:g} %")
    if any(getattr(target, timeout) is not None for timeout in TIMEOUTS):
        words.append("own time limits")
    return ", ".join(words)


def _is_set(target: Target, field: str) -> bool:
    return bool(getattr(target, field) != rules.ANY)
