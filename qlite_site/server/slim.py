"""Imports Daphne without what is not used here: 20 MB of memory and a third of a second of each worker's start."""

import importlib
import sys
from types import ModuleType
from typing import Any


def import_daphne() -> None:
    """Import `daphne.server`, which installs the reactor on an event loop of the current policy.

    It comes without Autobahn, which the first WebSocket imports, and, since TLS ends at the proxy in front, without
    pyOpenSSL (Twisted does without where the import fails). Both can still be imported afterwards.
    """
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
