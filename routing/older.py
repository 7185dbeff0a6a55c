"""The older form of a routing file, `providers: [{name, type, base_url, api_key, models: [...]}]`, made new.

Each model becomes a route with one target; a model that several providers list is tried in their order.
"""

import re
from typing import Any

from routing.document import DocumentError

# Types that older files use for what is a kind here, by their letters alone; others are taken as the name of a kind.
KIND_OF_TYPE = {
    "azure": "azure-openai",
    "azureopenai": "azure-openai",
    "echo": "stub",
    "google": "gemini",
    "llamacpp": "openai-compatible",
    "lmstudio": "openai-compatible",
    "localai": "openai-compatible",
    "mock": "stub",
    "ollama": "openai-compatible",
    "openaicompat": "openai-compatible",
    "openaicompatible": "openai-compatible",
    "vllm": "openai-compatible",
}
OLLAMA = "http://localhost:11434"  # where it listens if nobody says otherwise
_MARKS = frozenset({"type", "api_key", "models"})
_KNOWN = frozenset({"name", "type", "base_url", "api_key", "models", "enabled"})


def is_older(raw: dict[str, Any]) -> bool:
    """Say whether `raw` is in the older form: no routes of its own, and providers with its field names."""
    providers = raw.get("providers")
    if "routes" in raw or not isinstance(providers, list):
        return False
    return any(isinstance(each, dict) and _MARKS & each.keys() for each in providers)


def modernised(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the same table in the present form, not yet checked. Raises DocumentError."""
    unknown = sorted(str(name) for name in raw.keys() - {"version", "providers"})
    if unknown:
        raise DocumentError(f"the document has a field that is not known: {', '.join(unknown)}")
    routes: dict[str, list[dict[str, Any]]] = {}
    for entry in raw["providers"]:
        for name in _models(entry):
            targets = routes.setdefault(name, [])
            targets.append({"provider": entry.get("name"), "tier": len(targets)})
    return {
        "providers": [provider(entry) for entry in raw["providers"]],
        "routes": [{"name": name, "targets": targets} for name, targets in routes.items()],
    }


def provider(entry: dict[str, Any]) -> dict[str, Any]:
    """Return one provider of the older form in the present one, not yet checked. Raises DocumentError."""
    unknown = sorted(str(name) for name in entry.keys() - _KNOWN)
    if unknown:
        raise DocumentError(f"provider {entry.get('name')!r} has a field that is not known: {', '.join(unknown)}")
    named = str(entry.get("type") or entry.get("name") or "").lower()
    letters = re.sub("[^a-z]", "", named)
    made = {"name": entry.get("name"), "kind": KIND_OF_TYPE.get(letters, named)}
    for old, new in (("base_url", "base_url"), ("api_key", "credential"), ("enabled", "enabled")):
        if old in entry:
            made[new] = entry[old]
    if letters == "ollama":
        made |= {"base_url": _of_ollama(str(entry.get("base_url") or OLLAMA)), "free": True}
    return made


def _of_ollama(base_url: str) -> str:
    """Return where Ollama speaks OpenAI's dialect; older files name the server alone."""
    return base_url if re.search("://[^/]*/+[^/]", base_url) else f"{base_url.rstrip('/')}/v1"


def _models(entry: Any) -> list[str]:
    """The model names of one provider: plain strings or mappings with a `name`."""
    if not isinstance(entry, dict):
        raise DocumentError("a provider is not a mapping")
    listed = entry.get("models") or []
    if not isinstance(listed, list):
        raise DocumentError(f"provider {entry.get('name')!r}: models is not a list")
    names: list[Any] = [each.get("name") if isinstance(each, dict) else each for each in listed]
    for name in names:
        if not isinstance(name, str) or not name:
            raise DocumentError(f"provider {entry.get('name')!r} lists {name!r}, which is no model name")
    return names
