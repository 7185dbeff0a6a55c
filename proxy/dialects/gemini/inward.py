"""A request in Gemini's dialect as an OpenAI chat request, for targets that speak anything else."""

from collections.abc import Iterator

from proxy.dialects import checks
from proxy.dialects.base import Asked, Json
from proxy.dialects.gemini import config, parts, tools
from proxy.dialects.gemini.contents import Messages
from proxy.dialects.gemini.spelling import cannot, inner, several, spelled

TIERS = {"flex": "flex", "priority": "priority"}
# What the answer depends on and only Google keeps.
REFUSED = ("cachedContent", "continuationToken")
TRANSLATED = frozenset(
    ("contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier", "model", *REFUSED)
)


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
    names = [name for name, value in request.items() if name not in TRANSLATED and value]
    names += config.hints(request)
    chosen = inner(request, "toolConfig").items()
    names += [f"toolConfig.{name}" for name, value in chosen if name != "functionCallingConfig" and value]
    names += dict.fromkeys(name for part in _all_parts(request) for name in parts.HINTS if part.get(name))
    names += dict.fromkeys(f"contents.parts.{name}" for part in _all_parts(request) for name in parts.unknown(part))
    declared = (each for tool in several(request, "tools") for each in several(tool, "functionDeclarations"))
    names += dict.fromkeys(f"tools.{name}" for each in declared for name in tools.unknown(each))
    return tuple(name[:64] for name in names)


def _all_parts(request: Json) -> Iterator[Json]:
    for content in several(request, "contents"):
        yield from several(content, "parts")
