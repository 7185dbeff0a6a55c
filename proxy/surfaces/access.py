"""Who is calling: the key out of a request, and the grant behind it. The first thing every view of `/v1` does."""

from urllib.parse import unquote

from accounts.keys import Grant, KeyRejected, admit
from proxy.errors import BadRequest, GatewayError, NotAuthenticated, TooManyGuesses, UnsupportedMedia
from proxy.gateway import Gateway
from proxy.surfaces.request import GatewayRequest

OURS = b"sk-ql_"  # what keys of ours begin with
GUESSED = "Too many wrong API keys came from your address. Check yours, and try again later."
NO_KEY = "You didn't provide an API key. Send it as 'Authorization: Bearer sk-ql_...'."


def key_of(headers: dict[bytes, bytes], *, forwards: bool = False) -> str:
    """Return the key in `headers`, "" if there is none: Authorization: Bearer, x-api-key or x-goog-api-key.

    Where an Authorization is there only it counts, unless some provider `forwards` it and ours is in x-api-key.
    """
    given = headers.get(b"authorization")
    if given is not None and not (forwards and own_authorization(headers)):
        scheme, _, key = given.partition(b" ")
        return key.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""
    key = headers.get(b"x-api-key") or headers.get(b"x-goog-api-key") or b""
    return key.strip().decode("latin-1")


def own_authorization(headers: dict[bytes, bytes]) -> str:
    """Return an Authorization meant for a provider: one beside our own key in x-api-key; "" if there is none."""
    if not headers.get(b"x-api-key", b"").startswith(OURS):
        return ""
    given = headers.get(b"authorization", b"")
    return "" if OURS in given else given.decode("latin-1")


def grant_of(request: GatewayRequest, gateway: Gateway, *, key_in_url: bool = False) -> Grant:
    """Return what the caller's key permits. Raises NotAuthenticated, or BadRequest for a key in the URL.

    Gemini's clients may send the key in the URL, where `key_in_url` is set; it is never logged.
    """
    asked = key_in(request.scope.get("query_string") or b"")
    if asked and not key_in_url:
        gateway.counters.rejected("key_in_url")
        raise BadRequest("Send the API key in a header: URLs end up in logs.", code="key_in_url", param="key")
    key = key_of(request.raw_headers, forwards=gateway.snapshot.forwards) or asked
    if not key:
        gateway.counters.rejected("no_key")
        raise NotAuthenticated(NO_KEY)
    try:
        return admit(gateway.keys, key, now=gateway.clock())
    except KeyRejected as rejection:
        raise turned_away(gateway, rejection, (request.scope.get("client") or ("",))[0]) from None


def turned_away(gateway: Gateway, rejection: KeyRejected, address: str) -> GatewayError:
    """Return the error for a wrong key from `address`, which is counted."""
    wait = gateway.guesses.wrong(address, gateway.clock())
    error: GatewayError = NotAuthenticated(str(rejection))
    if wait:
        error = TooManyGuesses(GUESSED, retry_after=wait)
    gateway.counters.rejected(error.code or "")
    return error


def key_in(query: bytes) -> str:
    """Return the key in a query string, "" if there is none."""
    for part in query.split(b"&") if query else ():
        name, _, value = part.partition(b"=")
        if name.lower() in {b"key", b"api_key"}:
            return unquote(value.decode("latin-1")) or "-"
    return ""


def require_json(request: GatewayRequest) -> None:
    """Raise UnsupportedMedia for anything but plain JSON in UTF-8."""
    kind, _, parameters = request.header(b"content-type").lower().partition(";")
    if kind.strip() != "application/json":
        raise UnsupportedMedia("The body must be JSON: send 'Content-Type: application/json'.")
    if "charset" in parameters and "utf-8" not in parameters and "utf8" not in parameters:
        raise UnsupportedMedia("The body must be encoded in UTF-8.")
    if request.header(b"content-encoding") not in {"", "identity"}:
        raise UnsupportedMedia("A compressed body is not accepted.", code="unsupported_encoding")
