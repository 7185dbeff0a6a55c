"""The handshake of a session: what the caller's says, and the one that goes to the provider."""

from urllib.parse import quote, unquote

from proxy.native import address
from proxy.native.address import PRIVATE_PARAMETERS
from proxy.providers import azure
from proxy.providers.base import Outgoing
from routing.values import Target

# Browsers can set no headers, so OpenAI's clients put these among the subprotocols. None of them goes on.
KEY = "openai-insecure-api-key."
PRIVATE = (KEY, "openai-organization.", "openai-project.")
OURS = frozenset({"model", "deployment", "api-version"}) | PRIVATE_PARAMETERS


def protocols(offered: bytes) -> tuple[str, ...]:
    """Return the subprotocols in a Sec-WebSocket-Protocol header."""
    return tuple(word for word in (part.strip() for part in offered.decode("latin-1").split(",")) if word)


def key_in(offered: tuple[str, ...]) -> str:
    """Return the key among the subprotocols, "" if there is none."""
    return next((unquote(each[len(KEY) :]) for each in offered if each.startswith(KEY)), "")


def public(offered: tuple[str, ...]) -> tuple[str, ...]:
    """Return the subprotocols that a provider may be offered."""
    return tuple(each for each in offered if not each.startswith(PRIVATE))


def model_in(query: str) -> str:
    """Return the model that a query string asks for, "" if it names none."""
    return _parameters(query).get("model", "")


def outgoing(target: Target, query: str, headers: tuple[tuple[str, str], ...]) -> Outgoing:
    """Return the handshake for `target`, with the caller's own further parameters and `headers`."""
    provider = target.provider
    url, named, credential = provider.base_url.rstrip("/") + "/realtime", "model", address.credential(provider)
    if provider.kind == "azure-openai":
        url, credential = azure.address(provider, "realtime", target.model), azure.credential(provider)
        named = "deployment" if "?" in url else "model"
    kept = [part for part in query.split("&") if part and unquote(part.partition("=")[0]).lower() not in OURS]
    parameters = "&".join([f"{named}={quote(target.model, safe='')}", *kept])
    scheme, _, rest = url.partition("://")
    secure = "wss" if scheme == "https" else "ws"
    return Outgoing(f"{secure}://{rest}{'&' if '?' in rest else '?'}{parameters}", (*headers, *credential), b"")


def _parameters(query: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in query.split("&"))
    return {unquote(name): unquote(value.replace("+", " ")) for name, _, value in pairs}
