import subprocess
import sys

from tests.server.client import ROOT

SCRIPT = """
import sys
from qlite_site.server.slim import import_daphne
import_daphne()
print("autobahn" in sys.modules, "OpenSSL" in sys.modules, "daphne.ws_protocol" in sys.modules)
import OpenSSL, daphne.ws_protocol
print(daphne.ws_protocol.WebSocketFactory is not None)
"""


def test_it_leaves_out_what_nobody_uses_and_hides_it_from_nobody() -> None:
    told = subprocess.check_output([sys.executable, "-c", SCRIPT], cwd=ROOT, text=True).split()
    assert told == ["False", "False", "False", "True"]
