import subprocess
import sys

from tests.server.client import ROOT

SCRIPT = """
import sys
from qlite_site.server.slim import import_daphne
import_daphne(websockets={websockets})
print("autobahn" in sys.modules, "OpenSSL" in sys.modules, "daphne.ws_protocol" in sys.modules)
import OpenSSL, daphne.ws_protocol
print(daphne.ws_protocol.WebSocketFactory is not None)
"""


def loaded(*, websockets: bool) -> list[str]:
    script = SCRIPT.format(websockets=websockets)
    return subprocess.check_output([sys.executable, "-c", script], cwd=ROOT, text=True).split()


def test_it_leaves_out_what_nobody_uses_and_hides_it_from_nobody() -> None:
    assert loaded(websockets=False) == ["False", "False", "False", "True"]


def test_it_leaves_nothing_out_where_websockets_are_on() -> None:
    assert loaded(websockets=True) == ["True", "True", "True", "True"]
