"""Where a call that passes goes, and with which credential: the provider's address, the caller's path below it."""

import re
from urllib.parse import unquote

from proxy.errors import BadRequest
from proxy.providers.gemini.address import resource
from routing.values import Provider, Target

# Any of these would authenticate, or name, somebody other than this gateway.
UPLOAD_MARK = "qlite_upload"  # says who began an upload
PRIVATE_PARAMETERS = frozenset(
    {"key", "api_key", "api-key", "access_token", "oauth_token", "$.access_token", UPLOAD_MARK}
)

_VERSION = re.compile(r"/v\d+(?:(?:alpha|beta)\d*)?$")
_SEPARATORS = re.compile(r"[/\\]")


def check_path(path: str) -> None:
    """Raise BadRequest for a path that might leave its place, however often somebody decodes it."""
    text = path
    for _ in range(3):
        parts = [part.partition(";")[0] for part in _SEPARATORS.split(text)]
        if "\\" in text or not text.isprintable() or {".", ".."} & set(parts):
            raise BadRequest("The path must not hold dot segments, backslashes or control characters.", param="path")
        text = unquote(text)


def without_keys(query: str) -> str:
    """Return a query string as it is, but for parameters that hold a credential."""
    kept = [part for part in query.split("&") if unquote(part.partition("=")[0]).lower() not in PRIVATE_PARAMETERS]
    return "&".join(kept)


def address(target: Target, version: str, path: str, query: str, *, model_in_path: bool) -> str:
    """Return the URL. `version` is the caller's, such as v1beta; `path` and `query` go on as they are."""
    provider = target.provider
    base = provider.base_url.rstrip("/")
    if provider.kind == "anthropic":
        base = base.removesuffix("/v1") + "/v1"
    elif provider.kind == "gemini":
        base = _VERSION.sub("", base) + f"/{version}"
        if model_in_path:
            path = f"{resource(target.model)}:{path.rpartition(':')[2]}"
    return f"{base}/{path}" + (f"?{query}" if query else "")


def credential(provider: Provider) -> tuple[tuple[str, str], ...]:
    """Return the header that carries the provider's credential."""
    if not provider.secret:
        return ()
    if provider.kind == "anthropic":
        return (("x-api-key", provider.secret),)
    if provider.kind == "gemini":
        return (("x-goog-api-key", provider.secret),)
    return (("authorization", f"Bearer {provider.secret}"),)
