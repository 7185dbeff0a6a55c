"""A chat request in Gemini's words. Nothing is clamped; what cannot be said is refused, hints left out are named."""

from typing import Any

from proxy.body import Json
from proxy.dialects import checks
from proxy.providers.gemini import config, tools
from proxy.providers.gemini.contents import Contents
from proxy.providers.gemini.draft import Draft

# What the other modules here translate, and what the gateway itself acts on.
TRANSLATED = frozenset(
    (
        *("model", "messages", "stream", "stream_options", "tools", "tool_choice", "functions", "function_call"),
        *("web_search_options", "parallel_tool_calls", "max_tokens", "max_completion_tokens", "stop", "temperature"),
        *("top_p", "top_k", "presence_penalty", "frequency_penalty", "n", "seed", "logprobs", "top_logprobs"),
        *("modalities", "response_format", "reasoning_effort", "service_tier", "cached_content"),
    )
)
# Values that ask for nothing, so that leaving them out changes nothing.
DEFAULTS: dict[str, Any] = {"verbosity": "medium", "prompt_cache_retention": "in_memory"}
TIERS = frozenset({"flex", "priority"})


def build(draft: Draft, body: Json) -> Json:
    """Return the body of a generateContent request. Raises BadRequest naming the parameter that cannot be said."""
    contents = Contents(draft)
    contents.gather(checks.objects(body, "messages"))
    out: Json = {"contents": contents.turns}
    if contents.system:
        out["systemInstruction"] = {"parts": contents.system}
    tools.put(draft, body, out)
    config.put(draft, body, out)
    if cached := checks.optional(body, "cached_content", str):
        out["cachedContent"] = cached
    _tier(draft, body, out)
    for name, value in body.items():
        if name not in TRANSLATED and value and value != DEFAULTS.get(name):
            draft.ignore(name)
    return out


def _tier(draft: Draft, body: Json, out: Json) -> None:
    """Put a tier that Google has too. `auto` and `default` are what it does anyway; `auto` must not cost more."""
    tier = checks.optional(body, "service_tier", str)
    if tier in TIERS:
        out["serviceTier"] = tier
    elif tier not in (None, "auto", "default"):
        draft.ignore("service_tier")
