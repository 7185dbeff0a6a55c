"""The routing table as rows: providers, routes and targets are the draft; revisions are what was published."""

from routing.models.breakers import Breaker
from routing.models.drafts import DraftEdit, LiveCredential, Publication
from routing.models.providers import TIMEOUTS, Provider, kind_choices
from routing.models.revisions import Revision, RevisionImmutable, RevisionQuerySet
from routing.models.routes import Route, Target, condition_choices, strategy_choices

__all__ = [
    "TIMEOUTS",
    "Breaker",
    "DraftEdit",
    "LiveCredential",
    "Provider",
    "Publication",
    "Revision",
    "RevisionImmutable",
    "RevisionQuerySet",
    "Route",
    "Target",
    "condition_choices",
    "kind_choices",
    "strategy_choices",
]
