"""The routing table in the Django admin: the work of ops."""

from routing.admin.breakers import BreakerAdmin
from routing.admin.providers import ProviderAdmin
from routing.admin.revisions import RevisionAdmin
from routing.admin.routes import RouteAdmin

__all__ = ["BreakerAdmin", "ProviderAdmin", "RevisionAdmin", "RouteAdmin"]
