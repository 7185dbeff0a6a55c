"""Filters of the lists that look further than a column: does a route lead somewhere, is it in trouble now?"""

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest

from routing.models import Breaker, Target


class Leads(admin.SimpleListFilter):
    """Routes by whether a call would find a target that is on."""

    title, parameter_name = "leads somewhere", "leads"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "to a live target"), ("no", "nowhere")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        live = Exists(Target.objects.filter(route=OuterRef("pk"), enabled=True, provider__enabled=True))
        leads = Q(live) | ~Q(alias_of="")
        return {"yes": queryset.filter(leads), "no": queryset.exclude(leads)}.get(self.value() or "", queryset)


class InTrouble(admin.SimpleListFilter):
    """Rows that have to do with a target whose breaker is not closed."""

    title, parameter_name = "in trouble", "trouble"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "a target rests")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() != "yes":
            return queryset
        troubled = Q(pk__in=())
        for target in Breaker.objects.in_trouble().values_list("target", flat=True)[:500]:
            troubled |= self.about(*target.split("/", 1))
        return queryset.filter(troubled).distinct()

    def about(self, provider: str, model: str) -> Q:
        """Which rows a target in trouble concerns."""
        raise NotImplementedError


class NotClosed(InTrouble):
    """Of the breakers themselves."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(pk__in=Breaker.objects.in_trouble()) if self.value() == "yes" else queryset


class ProviderInTrouble(InTrouble):
    def about(self, provider: str, model: str) -> Q:
        return Q(name=provider)


class RouteInTrouble(InTrouble):
    """A pattern counts with its provider, since what it stands for is known only when it is asked for."""

    def about(self, provider: str, model: str) -> Q:
        asked = Q(targets__model="") & (Q(name=model) | Q(name__contains="*"))
        named = Q(targets__model=model) | Q(targets__model__contains="*")
        return Q(targets__in=Target.objects.filter(provider__name=provider)) & (asked | named)
