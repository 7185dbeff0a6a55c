"""The very first start: an admin, a team, a key, the stub, and a provider for each key found in the environment."""

import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction

from accounts.models import Team
from accounts.store import keys, pricelists, roles
from routing import store as routes
from routing.address import AddressRefused
from routing.kinds import KINDS
from routing.models import Revision

Json = dict[str, Any]
AUTHOR = "setup"
_LOCK = 0x7365_7475_70  # any constant that is only ours, for PostgreSQL's advisory locks

STUB: Json = {
    "providers": [{"name": "stub", "kind": "stub", "base_url": "", "free": True}],
    "routes": [
        {"name": "stub", "targets": [{"provider": "stub", "model": "stub"}]},
        {"name": "stub/*", "cache_ttl": 0, "targets": [{"provider": "stub", "model": "stub/*"}]},
    ],
}


# Name, variable of the key, variable of another address, usual address, models that lead there.
COMMERCIAL = (
    (
        "openai",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "https://api.openai.com/v1",
        ("gpt-*", "o1*", "o3*", "o4*", "chatgpt-*"),
    ),
    ("anthropic", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "https://api.anthropic.com", ("claude-*",)),
    ("gemini", "GEMINI_API_KEY", "GEMINI_BASE_URL", "https://generativelanguage.googleapis.com", ("gemini-*",)),
    ("groq", "GROQ_API_KEY", "GROQ_BASE_URL", "https://api.groq.com/openai/v1", ("groq/*",)),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What an environment variable says about a provider: its kind, where it is, and which models lead to it."""

    name: str
    kind: str
    base_url: str
    credential_env: str = ""
    models: tuple[str, ...] = ()
    self_hosted: bool = False
    address_env: str = ""  # the variable that gave the address, "" where it is the usual one


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What was made, for telling once. Fields are empty where nothing was made."""

    password: str = ""
    key: str = ""
    providers: tuple[str, ...] = ()


@contextmanager
def alone() -> Iterator[None]:
    """Wait until nobody else prepares this data folder, or this database on PostgreSQL, and let nobody meanwhile."""
    folder = os.open(settings.DATA_DIR, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])  # let go with the connection at the latest
        yield
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
    finally:
        os.close(folder)


@transaction.atomic
def first_start(environ: Mapping[str, str] = os.environ) -> FirstStart:
    """Create what a new installation needs, all or nothing. Does nothing where there is something already.

    Raises ImproperlyConfigured where the environment has an address that cannot be called.
    """
    roles.ensure_roles()
    pricelists.seed()
    if get_user_model().objects.exists() or Team.objects.exists() or Revision.objects.exists():
        return FirstStart()
    password = environ.get("QLITE_ADMIN_PASSWORD", "") or secrets.token_urlsafe(12)
    get_user_model().objects.create_superuser("admin", "", password)
    found = providers_in(environ)
    for each in found:
        _check_address(each)
    routes.apply(document_of(found), author=AUTHOR, note="First start")
    team = Team.objects.create(name="demo", title="Demo", owner="admin")
    _, key = keys.make_key(team, "first key", owner="admin", by=AUTHOR)
    shown = "" if environ.get("QLITE_ADMIN_PASSWORD") else password
    return FirstStart(shown, key.text, tuple(each.name for each in found))


def providers_in(environ: Mapping[str, str]) -> list[Found]:
    """Return the providers whose keys or addresses `environ` holds."""
    found = []
    for name, key, address, usual, models in COMMERCIAL:
        if environ.get(key):
            elsewhere = environ.get(address, "")
            found.append(Found(name, name, elsewhere or usual, key, models, address_env=address if elsewhere else ""))
    if environ.get("OLLAMA_BASE_URL"):
        base = environ["OLLAMA_BASE_URL"].rstrip("/")
        base = base if base.endswith("/v1") else base + "/v1"
        found.append(_own("ollama", base, "", "OLLAMA_BASE_URL"))
    if environ.get("OPENAI_COMPAT_BASE_URL"):
        key = "OPENAI_COMPAT_API_KEY" if environ.get("OPENAI_COMPAT_API_KEY") else ""
        base = environ["OPENAI_COMPAT_BASE_URL"].rstrip("/")
        found.append(_own("compat", base, key, "OPENAI_COMPAT_BASE_URL"))
    return found


def _check_address(found: Found) -> None:
    try:
        KINDS[found.kind].check_url(found.base_url, allow_private=True, allow_insecure=found.self_hosted)
    except AddressRefused as error:
        raise ImproperlyConfigured(f"{found.address_env}: {error}") from None


def _own(name: str, base_url: str, credential_env: str, address_env: str) -> Found:
    return Found(name, "openai-compatible", base_url, credential_env, (f"{name}/*",), True, address_env)


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
                # Whoever sets variables has the network too.
                "allow_private": bool(each.address_env),
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
