"""Imports Daphne without what is not used here: 20 MB of memory and a third of a second of each worker's start."""

import importlib
import sys
from types import ModuleType
from typing import Any


def import_daphne(*, websockets: bool) -> None:
    """Import `daphne.server`, which installs the reactor on an event loop of the current policy.

    Without WebSockets it comes without Autobahn and, since TLS ends at the proxy in front, without pyOpenSSL (Twisted
    does without where the import fails). Both can still be imported afterwards.
    """
    if websockets:
        importlib.import_module("daphne.server")
        return
    importlib.import_module("daphne")
    placeholder = ModuleType("daphne.ws_protocol")
    vars(placeholder)["WebSocketFactory"] = None
    # None makes an import fail (docs.python.org/3/reference/import.html#the-module-cache), which typeshed leaves out.
    hidden: dict[str, Any] = {"daphne.ws_protocol": placeholder, "OpenSSL": None}
    hidden = {name: module for name, module in hidden.items() if name not in sys.modules}
    sys.modules.update(hidden)
    try:
        importlib.import_module("daphne.server")
    finally:
        for name in hidden:
            del sys.modules[name]
