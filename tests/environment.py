"""The surroundings of a test run, set before the settings are read: a data folder of its own and nothing of yours.

DATABASE_URL stays, so that the same tests run on PostgreSQL: `DATABASE_URL=postgres://... make test`.
"""

import atexit
import os
import shutil
import tempfile

FOREIGN = ("QLITE_", "OPENAI_", "GROQ_", "OLLAMA_", "ANTHROPIC_", "GEMINI_", "REDIS_", "SECRET_KEY")

for name in [name for name in os.environ if name.startswith(FOREIGN) and not name.startswith("QLITE_TEST_")]:
    del os.environ[name]

folder = tempfile.mkdtemp(prefix="qlite-tests-")
atexit.register(shutil.rmtree, folder, ignore_errors=True)
os.environ["QLITE_DATA_DIR"] = folder
