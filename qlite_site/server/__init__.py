"""The server: Daphne on uvloop, hardened, with pre-forked workers. It runs any ASGI 3 app and knows nothing of Django.

`docs/decisions/0002-hardened-daphne.md` says why, and what is left of Daphne.
"""

import logging

from qlite_site.server import worker
from qlite_site.server.config import ServerConfig
from qlite_site.server.listen import listen
from qlite_site.server.parent import Parent
from qlite_site.server.status import ServerState, state

__all__ = ["ServerConfig", "ServerState", "serve", "state"]


def serve(config: ServerConfig) -> int:
    """Serve until SIGTERM, SIGINT or SIGHUP, and return the exit code. A process can serve only once.

    With one worker this process is it. Raises ValueError for a `bind` that is not HOST:PORT.
    """
    try:
        listening = listen(config.bind)
    except OSError as error:
        logging.getLogger("qlite.server").critical("cannot listen on %s: %s", config.bind, error.strerror or error)
        return 1
    if config.workers == 1:
        return worker.run(config, listening, 0)
    return Parent(config, listening).run()
