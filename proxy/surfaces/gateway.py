"""The one Gateway of this process, set by the wiring before the first request, and checks that every view shares."""

from proxy.errors import MethodNotAllowed, Unavailable
from proxy.gateway import Gateway
from proxy.surfaces.request import GatewayRequest

_held: list[Gateway] = []


def install(gateway: Gateway | None) -> None:
    """Make `gateway` the one that the views use; None takes it away again."""
    _held[:] = [] if gateway is None else [gateway]


def current() -> Gateway:
    """Return this process's gateway. Raises Unavailable while it is starting."""
    if not _held:
        raise Unavailable("The gateway is starting.", code="starting")
    return _held[0]


def only(request: GatewayRequest, *methods: str) -> None:
    """Raise MethodNotAllowed unless the request's method is one of `methods`."""
    if request.method not in methods:
        raise MethodNotAllowed(f"Use {' or '.join(methods)} here.", allow=", ".join(methods))
