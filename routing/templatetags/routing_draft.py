"""What waits in the draft, at the top of each page of the routing table."""

from typing import Any

from django import template

from routing import store

register = template.Library()


@register.inclusion_tag("admin/routing/banner.html", takes_context=True)
def draft_banner(context: dict[str, Any]) -> dict[str, Any]:
    """Show what waits to be published to those who may see it."""
    user = context["request"].user
    shown = store.standing() if user.has_perm("routing.view_revision") else None
    return {"standing": shown, "may_publish": user.has_perm("routing.add_revision")}
