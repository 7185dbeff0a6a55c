"""What the app may want to know of the server that runs it, such as whether it is about to stop."""


class ServerState:
    """The state of this process. `draining` turns true at SIGTERM and stays so."""

    __slots__ = ("address", "draining", "in_flight", "worker")

    def __init__(self) -> None:
        self.draining = False
        self.in_flight = 0
        """Requests handed to the app and not yet finished by it."""
        self.address: tuple[str, int] = ("", 0)
        """Where the server listens, known from `on_start` on."""
        self.worker = 0


state = ServerState()
