"""What a process that serves must not load."""

import os
import subprocess
import sys
from pathlib import Path

SERVING = "import sys, qlite_site.asgi, qlite_site.urls; print('unfold' in sys.modules, 'psycopg' in sys.modules)"


def test_psycopg_is_not_loaded_where_the_database_is_sqlite(tmp_path: Path) -> None:
    around = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    around |= {"QLITE_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "qlite_site.settings"}
    ran = subprocess.run([sys.executable, "-c", SERVING], env=around, capture_output=True, text=True)
    assert (ran.stdout.split(), ran.stderr) == (["True", "False"], "")
