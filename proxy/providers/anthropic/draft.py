"""The draft of a request on Anthropic's wire."""

from proxy.providers import draft
from proxy.providers.anthropic import capabilities
from proxy.providers.anthropic.capabilities import Capabilities
from routing.values import Target

Draft = draft.Draft[Capabilities]


def begin(target: Target, asked: str) -> Draft:
    """Return a fresh draft; `asked` is the model's name where the target leaves it open."""
    model = target.model or asked
    return Draft(target.provider.name, model, capabilities.of(model))
