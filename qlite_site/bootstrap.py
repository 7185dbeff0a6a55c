"""The very first start: an admin, a team, a key, the stub, and a provider for each key found in the environment."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model

from accounts.models import Team
from accounts.store import keys, pricelists, roles
from routing import store as routes
from routing.models import Revision

Json = dict[str, Any]
AUTHOR = "setup"

STUB: Json = {
    "providers": [{"name": "stub", "kind": "stub", "base_url": "", "free": True}],
    "routes": [
        {"name": "stub", "targets": [{"provider": "stub", "model": "stub"}]},
        {"name": "stub/*", "cache_ttl": 0, "targets": [{"provider": "stub", "model": "stub/*"}]},
    ],
}


@dataclass(frozen=True, slots=True)
class Found:
    """What an environment variable says about a provider: its kind, where it is, and which models lead to it."""

    name: str
    kind: str
    base_url: str
    credential_env: str = ""
    models: tuple[str, ...] = ()
    self_hosted: bool = False


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What was made, for telling once. Fields are empty where nothing was made."""

    password: str = ""
    key: str = ""
    providers: tuple[str, ...] = ()


def first_start(environ: Mapping[str, str] = os.environ) -> FirstStart:
    """Create what a new installation needs. Does nothing, and returns nothing, where there is something already."""
    roles.ensure_roles()
    pricelists.seed()
    if get_user_model().objects.exists() or Team.objects.exists() or Revision.objects.exists():
        return FirstStart()
    password = environ.get("QLITE_ADMIN_PASSWORD", "") or secrets.token_urlsafe(12)
    get_user_model().objects.create_superuser("admin", "", password)
    found = providers_in(environ)
    routes.apply(document_of(found), author=AUTHOR, note="First start")
    team = Team.objects.create(name="demo", title="Demo", owner="admin")
    _, key = keys.make_key(team, "first key", owner="admin", by=AUTHOR)
    shown = "" if environ.get("QLITE_ADMIN_PASSWORD") else password
    return FirstStart(shown, key.text, tuple(each.name for each in found))


def providers_in(environ: Mapping[str, str]) -> list[Found]:
    """Return the providers whose keys or addresses `environ` holds."""
    found = []
    if environ.get("OPENAI_API_KEY"):
        base = environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
        found.append(Found("openai", "openai", base, "OPENAI_API_KEY", ("gpt-*", "o1*", "o3*", "o4*", "chatgpt-*")))
    if environ.get("ANTHROPIC_API_KEY"):
        base = environ.get("ANTHROPIC_BASE_URL") or "https://api.anthropic.com"
        found.append(Found("anthropic", "anthropic", base, "ANTHROPIC_API_KEY", ("claude-*",)))
    if environ.get("GEMINI_API_KEY"):
        base = environ.get("GEMINI_BASE_URL") or "https://generativelanguage.googleapis.com"
        found.append(Found("gemini", "gemini", base, "GEMINI_API_KEY", ("gemini-*",)))
    if environ.get("GROQ_API_KEY"):
        base = environ.get("GROQ_BASE_URL") or "https://api.groq.com/openai/v1"
        found.append(Found("groq", "groq", base, "GROQ_API_KEY", ("groq/*",)))
    if environ.get("OLLAMA_BASE_URL"):
        base = environ["OLLAMA_BASE_URL"].rstrip("/")
        base = base if base.endswith("/v1") else base + "/v1"
        found.append(Found("ollama", "openai-compatible", base, "", ("ollama/*",), self_hosted=True))
    if environ.get("OPENAI_COMPAT_BASE_URL"):
        key = "OPENAI_COMPAT_API_KEY" if environ.get("OPENAI_COMPAT_API_KEY") else ""
        base = environ["OPENAI_COMPAT_BASE_URL"].rstrip("/")
        found.append(Found("compat", "openai-compatible", base, key, ("compat/*",), self_hosted=True))
    return found


def document_of(found: list[Found]) -> Json:
    """Return a routing document with the stub and `found`. `name/*` leads to all models of a provider."""
    providers, listed = list(STUB["providers"]), list(STUB["routes"])
    for each in found:
        providers.append(
            {
                "name": each.name,
                "kind": each.kind,
                "base_url": each.base_url,
                "credential": {"env": each.credential_env} if each.credential_env else None,
                "free": each.self_hosted,
                "allow_private": each.self_hosted,
                "allow_insecure": each.self_hosted,
                "by_name": True,
            }
        )
        for pattern in each.models:
            model = "*" if pattern.startswith(f"{each.name}/") else ""
            listed.append({"name": pattern, "targets": [{"provider": each.name, "model": model}]})
    return {"version": 1, "providers": providers, "routes": listed}


def curl_line(key: str) -> str:
    """Return a line that asks the stub, fit for pasting. `key` may be a shell variable."""
    ask = """{"model": "stub", "messages": [{"role": "user", "content": "Hello"}]}"""
    url = f"{settings.PUBLIC_URL}/v1/chat/completions"
    return f"""curl -s {url} -H "Authorization: Bearer {key}" -H "Content-Type: application/json" -d '{ask}'"""
