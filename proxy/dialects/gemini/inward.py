"""A request in Gemini's dialect as an OpenAI chat request, for targets that speak anything else."""

from proxy.dialects import checks
from proxy.dialects.base import Asked, Json
from proxy.dialects.gemini import config, left_out, tools
from proxy.dialects.gemini.contents import Messages
from proxy.dialects.gemini.spelling import cannot, inner, spelled

TIERS = {"flex": "flex", "priority": "priority"}
USUAL_TIERS = ("standard", "unspecified", "service_tier_unspecified")
# What the answer depends on and only Google keeps.
REFUSED = ("cachedContent", "continuationToken")


def request_of(asked: Asked) -> Json:
    """Return the request in camelCase; of a count, the request whose tokens are counted."""
    body = spelled(asked.body)
    return (inner(body, "generateContentRequest") if asked.operation == "count_tokens" else {}) or body


def chat(asked: Asked) -> Json:
    """Return the chat request. Raises BadRequest naming the caller's own parameter for what it cannot say."""
    request = request_of(asked)
    for name in REFUSED:
        if request.get(name):
            raise cannot(name, "only Google's own models know this parameter.")
    messages = Messages()
    messages.system(request)
    messages.gather(request)
    told: Json = {"model": asked.model, "messages": messages.told}
    if asked.stream:
        told["stream"] = True
    tier = (checks.optional(request, "serviceTier", str) or "").lower()
    if tier in TIERS:
        told["service_tier"] = TIERS[tier]
    return told | config.config(request) | tools.tools(request)


def hints(asked: Asked) -> tuple[str, ...]:
    """Return the names of members that are left out without changing what is asked for."""
    request = request_of(asked)
    named = left_out.names(request)
    if str(request.get("serviceTier") or "").lower() not in {"", *TIERS, *USUAL_TIERS}:
        named.append("serviceTier")
    return tuple(name[:64] for name in named)
