"""A caller's own Authorization, handed on to a provider that has no credential of ours and is marked as wanting it."""

from proxy.call import Call
from proxy.errors import UpstreamError
from routing.values import Provider


def header(call: Call, provider: Provider) -> tuple[tuple[str, str], ...]:
    """Return the header to add to a request to `provider`, if any."""
    if call.authorization and provider.forward_authorization and not provider.secret:
        return (("authorization", call.authorization),)
    return ()


def blamed(error: UpstreamError, call: Call, provider: Provider) -> UpstreamError:
    """Return `error`, and let it blame the caller if what was refused is the caller's own."""
    if error.code == "upstream_auth_error" and provider.forward_authorization and not provider.secret:
        error.status, error.try_next = 401, False
        did = "did not accept your Authorization" if call.authorization else "wants an Authorization of your own"
        error.message = f"{provider.name} {did}."
    return error
