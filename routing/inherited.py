"""The environment form of older gateways, `MODEL_PROVIDER_MAP` and `LLM_PROVIDER`, as routes of today."""

from routing import document, older
from routing.document import Document, DocumentError, Entry

MAP, DEFAULT = "MODEL_PROVIDER_MAP", "LLM_PROVIDER"
BUILT_IN = frozenset({"ollama", "stub"})  # without a credential


def table_of(mapping: str, default: str, present: Document, *, ollama: str = "") -> Document:
    """Return routes for `"gpt-4=ollama,local-*=stub"`, and for the provider that serves everything else.

    A route that `present` has keeps all but its targets. A provider that older gateways had built in is made where it
    is missing; Ollama's address is `ollama`, the usual one where that is empty. Raises DocumentError with a sentence.
    """
    asked = {provider for _, provider in _pairs(mapping)} | {default}
    missing = (asked & BUILT_IN) - {entry["name"] for entry in present["providers"]}
    made = [
        older.provider({"name": name, "base_url": ollama if name == "ollama" else "", "api_key": None})
        for name in sorted(missing)
    ]
    known = {entry["name"] for entry in present["providers"]} | missing
    there = {entry["name"]: entry for entry in present["routes"] if not entry.get("team")}
    routes: dict[str, Entry] = {}
    for pattern, provider in _pairs(mapping):
        _refuse_unknown(MAP, provider, known)
        if pattern in routes:
            raise DocumentError(f"{MAP} has {pattern!r} twice")
        routes[pattern] = {**there.get(pattern, {"name": pattern}), "alias_of": "", "targets": [{"provider": provider}]}
    if default:
        _refuse_unknown(DEFAULT, default, known)
        routes |= _default(default, {**there, **routes})
    return document.normal({"providers": made, "routes": list(routes.values())})


def _pairs(mapping: str) -> list[tuple[str, str]]:
    pairs = []
    for part in filter(None, (each.strip() for each in mapping.split(","))):
        pattern, equals, provider = (each.strip() for each in part.partition("="))
        if not (equals and pattern and provider):
            raise DocumentError(f"{MAP}: {part!r} is not of the form MODEL=PROVIDER")
        pairs.append((pattern, provider))
    return pairs


def _default(provider: str, there: dict[str, Entry]) -> dict[str, Entry]:
    """The default route to `provider` with any name, and the one that was the default until now."""
    name = f"{provider}/*"
    others = {each: {**entry, "default": False} for each, entry in there.items() if entry.get("default")}
    made = {"name": name, "targets": [{"provider": provider, "model": "*"}]}
    return {**others, name: {**there.get(name, made), "enabled": True, "default": True}}


def _refuse_unknown(variable: str, provider: str, known: set[str]) -> None:
    if provider not in known:
        there = ", ".join(sorted(known)) or "none yet"
        raise DocumentError(f"{variable}: no provider is called {provider!r}; there are: {there}")
