"""A provider's page on its connection: does it answer, which models has it, and routes for those that are wanted."""

from typing import Any

from asgiref.sync import async_to_sync
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from proxy import listing
from proxy.listing import Listing
from proxy.upstream import Timeouts, Upstream
from qlite_site.adminbase import action
from routing import store
from routing.admin.providers import ProviderAdmin
from routing.models import Provider, Route, Target

PATIENCE = Timeouts(connect=5.0, first_byte=15.0, idle=10.0, total=30.0)
MAX_BYTES = 4 * 1024 * 1024
NAMINGS = {"model": "{model}", "provider": "{provider}/{model}"}

admin.site.unregister(Provider)


@admin.register(Provider)
class ConnectedProviderAdmin(ProviderAdmin):
    """Asks saved rows alone, so that nobody can send a stored credential to an address just typed in."""

    actions_detail = ("connection",)

    @action(description="Connection and models", url_path="connection", permissions=("view",))  # type: ignore[untyped-decorator]
    def connection(self, request: HttpRequest, object_id: str) -> HttpResponse:
        provider = self.get_object(request, object_id)
        if provider is None:
            return redirect("admin:routing_provider_changelist")
        context: dict[str, Any] = {}
        if request.method == "POST":
            done = self._done(request, provider, context)
            if done is not None:
                return done
        return self._page(request, provider, context)

    def _done(self, request: HttpRequest, provider: Any, context: dict[str, Any]) -> HttpResponse | None:
        wish = request.POST.get("wish")
        allowed = request.user.is_superuser if wish == "test" else self._may_add(request)
        if not allowed:
            raise PermissionDenied
        if wish == "add":
            return self._add(request, provider)
        answer = asked(provider)
        self.log_change(request, provider, f"Asked for its models: {said(provider.name, answer)}")
        context["said"], context["well"] = said(provider.name, answer), answer.status == 200
        if wish == "discover":
            context["models"] = [(model, _served(provider, model)) for model in answer.models]
        return None

    @transaction.atomic
    def _add(self, request: HttpRequest, provider: Any) -> HttpResponse:
        """Make a route for each chosen model, in one revision; those that exist stay as they are."""
        naming = NAMINGS.get(request.POST.get("naming", ""), NAMINGS["model"])
        made = []
        for model in dict.fromkeys(request.POST.getlist("model")[: listing.MOST]):
            name = naming.format(provider=provider.name, model=model)
            if not Route.objects.filter(name=name).exists():
                try:
                    _make(name, provider, model)
                except ValidationError as error:
                    messages.error(request, f"{name}: {' '.join(error.messages)}")
                    continue
                made.append(name)
        if made:
            self.publish(request, f"Routes for models of {provider}: {', '.join(made[:10])}")
        else:
            messages.warning(request, "No route was added: nothing new was chosen.")
        return redirect(f"{reverse('admin:routing_route_changelist')}?targets__provider__id__exact={provider.pk}")

    def _page(self, request: HttpRequest, provider: Any, context: dict[str, Any]) -> HttpResponse:
        shown = {
            **self.admin_site.each_context(request),
            "title": f"Connection of {provider.name}",
            "opts": self.opts,
            "provider": provider,
            "may_test": request.user.is_superuser,
            "may_add": self._may_add(request),
            **context,
        }
        return TemplateResponse(request, "admin/routing/provider/connection.html", shown)

    def _may_add(self, request: HttpRequest) -> bool:
        return request.user.has_perm("routing.change_provider") and request.user.has_perm("routing.add_route")


def asked(provider: Provider) -> Listing:
    """Ask the provider of this saved row, with sockets that live for this one question."""

    saved = store.load_provider(provider.name)

    async def ask() -> Listing:
        upstream = Upstream(PATIENCE, max_response_bytes=MAX_BYTES)
        try:
            return await listing.ask(upstream, saved)
        finally:
            await upstream.aclose()

    return async_to_sync(ask)()


def said(name: str, answer: Listing) -> str:
    """Return the sentence for people: status and time, never a body."""
    if answer.status is None:
        return f"{answer.trouble} ({answer.milliseconds} ms)"
    if answer.status != 200:
        return f"{name} answered with status {answer.status} after {answer.milliseconds} ms."
    return f"{name} answered after {answer.milliseconds} ms and lists {len(answer.models)} models."


def _make(name: str, provider: Provider, model: str) -> None:
    route = Route(name=name)
    route.full_clean()
    with transaction.atomic():
        route.save()
        target = Target(route=route, provider=provider, model="" if model == name else model)
        target.full_clean()
        target.save()


def _served(provider: Provider, model: str) -> str:
    """Return the names under which the model can be asked for already."""
    wanted = Target.objects.filter(provider=provider)
    named = wanted.filter(model=model) | wanted.filter(model="", route__name=model)
    names = list(named.order_by("route__name").values_list("route__name", flat=True)[:3])
    if provider.by_name:
        names.append(f"{provider.name}/{model}")
    return ", ".join(names)
