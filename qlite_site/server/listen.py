"""Opens the listening socket."""

import socket

BACKLOG = 2048


def listen(bind: str) -> socket.socket:
    """Return a socket that listens on `bind`, HOST:PORT or [HOST]:PORT. Port 0 takes a free one.

    Raises ValueError as `parts` does, OSError if the address cannot be had.
    """
    host, port = parts(bind)
    family, _, _, _, address = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)[0]  # noqa: S104
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def parts(bind: str) -> tuple[str, int]:
    """Return host and port of `bind`. Raises ValueError with a sentence if it is not of that form."""
    host, colon, port = bind.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{bind!r} is not an address of the form HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)
