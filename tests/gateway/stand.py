"""A gateway as its users run it: `qlite serve` in a process of its own, with the scripted provider behind it."""

import json
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from loadtest.bench.rig import ROOT, Home, Server, free_port, qlite, wait_for
from loadtest.client.request import Where
from loadtest.mockserver import MockServer
from tests.server.client import Client, until

# Words that must turn up nowhere but where they belong (reliability SR-22).
SECRET = "sk-upstream-canary-7Qm2"
CHAT = "/v1/chat/completions"
INPUT_NANO, OUTPUT_NANO = 1_000, 2_000  # a token, as MAKE_ROWS prices them
# What a call costs that the mock answers with its usual 12 prompt tokens and 3 of its own.
COST = 12 * INPUT_NANO + 3 * OUTPUT_NANO


@dataclass(frozen=True)
class House(Home):
    """A data folder that can be furnished for tests, and copied."""

    def furnish_for_tests(self, mock_port: int) -> dict[str, str]:
        """Migrate, publish ROUTES with the mock behind them, and return API keys by what is special about them."""
        self.run("setup")
        table = self.folder / "tests.yaml"
        table.write_text(ROUTES.format(port=mock_port, nobody=free_port(), secret=SECRET))
        self.run("import", str(table))
        table.unlink()
        keys: dict[str, str] = json.loads(self.run("shell", "-v", "0", "-c", MAKE_ROWS))
        return keys

    def moved(self, folder: Path, **settings: str) -> Self:
        """A copy of this folder, for a gateway with other settings on another port."""
        shutil.copytree(self.folder, folder)
        # Some tests wait with a key that is wrong.
        return type(self)(folder, free_port(), settings={"QLITE_WRONG_KEYS": "0"} | settings)


class Stand:
    """A running gateway, how to call it, and what it has written down."""

    def __init__(self, home: House, keys: Mapping[str, str], mock: MockServer, *options: str) -> None:
        self.home, self.keys, self.mock, self.options = home, keys, mock, options
        self.key = keys["good"]
        self.log = home.folder / "serve.log"
        self.start()

    @property
    def port(self) -> int:
        return self.home.port

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    # The process

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [*qlite(), "serve", *self.options]
            process = subprocess.Popen(command, cwd=ROOT, env=self.home.environment, stdout=log, stderr=log)
        self._server = Server(Where("qlite", self.port), process, time.perf_counter())
        try:
            wait_for(self._server, "/readyz")
        except RuntimeError as error:
            raise AssertionError(self.log.read_text()[-4000:]) from error

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        return self._server.stop()

    def signal(self, number: signal.Signals) -> None:
        self._server.process.send_signal(number)

    def wait(self, seconds: float = 20.0) -> int:
        """The exit code, once it has ended by itself."""
        return self._server.process.wait(seconds)

    def kill(self) -> None:
        self._server.process.kill()
        self._server.process.wait()

    # Calls

    def ask(self, model: str = "mock/ok", *, content: str = "Hello", **fields: Any) -> dict[str, Any]:
        return {"model": model, "messages": [{"role": "user", "content": content}], **fields}

    def call(
        self, method: str = "POST", target: str = CHAT, body: Any = None, *, key: str | None = "", **headers: str
    ) -> "Got":
        """One request on a connection of its own. `key` None sends none; a header set to "" is left out."""
        with self.connect() as client:
            self.send(client, method, target, body, key=key, **headers)
            answer = client.answer(to_head=method == "HEAD")
        return Got(answer.status, answer.headers, answer.body)

    def send(
        self,
        client: Client,
        method: str = "POST",
        target: str = CHAT,
        body: Any = None,
        *,
        key: str | None = "",
        **headers: str,
    ) -> None:
        """Write a request; names of headers with _ for -."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        given = {"content_type": "application/json"} if body is not None else {}
        if key is not None:
            given["authorization"] = f"Bearer {key or self.key}"
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in (given | headers).items() if value]
        client.ask(method, target, *lines, body=raw)

    def connect(self) -> Client:
        return Client(self.port)

    # What is written down

    def row(self, id: str) -> dict[str, Any]:
        """The record of a request with its attempts, as soon as the ledger has it."""
        found: list[dict[str, Any]] = until(lambda: self.rows("id = ?", id), bool)
        return found[0]

    def rows(self, where: str = "1", *values: Any) -> list[dict[str, Any]]:
        """Records with their attempts, straight from the database file."""
        with self.database() as db:
            found = [dict(row) for row in db.execute(f"SELECT * FROM accounts_requestrecord WHERE {where}", values)]
            for row in found:
                query = "SELECT * FROM accounts_attemptrecord WHERE request_id = ? ORDER BY number"
                row["attempts"] = [dict(attempt) for attempt in db.execute(query, [row["id"]])]
        return found

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(f"file:{self.home.folder / 'qlite.sqlite3'}?mode=ro", uri=True)
        db.row_factory = sqlite3.Row
        try:
            yield db
        finally:
            db.close()

    def verify(self) -> str:
        """What `qlite ledger verify` says; raises where it finds something."""
        return self.home.run("ledger", "verify")

    def export(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.home.run("ledger", "export").splitlines()]

    # The provider

    def hit(self, true: Callable[[Any], bool]) -> Any:
        """The first hit of the mock that is so, as soon as there is one."""
        return until(lambda: next((hit for hit in self.mock.hits if true(hit)), None), bool)


@dataclass(frozen=True)
class Got:
    """An answer: header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error in OpenAI's shape: these four fields and nothing beside them."""
        body = self.json
        assert set(body) == {"error"}, body
        assert set(body["error"]) == {"message", "type", "param", "code"}, body
        error: dict[str, Any] = body["error"]
        return error

    @property
    def id(self) -> str:
        return self.headers["x-qlite-id"]


ROUTES = """\
providers:
  - name: mock
    kind: openai-compatible
    base_url: http://127.0.0.1:{port}/v1
    credential: {secret}
    first_byte_timeout: 20
  - name: nobody
    kind: openai-compatible
    base_url: http://127.0.0.1:{nobody}/v1
    credential: {secret}
routes:
  - name: mock/*
    cache_ttl: 0
    retries: 0
    targets: [{{provider: mock, model: "*"}}]
  - name: kept
    targets: [{{provider: mock, model: ok}}]
  - name: alias
    cache_ttl: 0
    answer_as_asked: true
    targets: [{{provider: mock, model: ok}}]
  - name: second-chance
    cache_ttl: 0
    targets: [{{provider: nobody, model: ok}}, {{provider: mock, model: ok, tier: 1}}]
  - name: unreachable
    cache_ttl: 0
    retries: 0
    targets: [{{provider: nobody, model: ok}}]
"""

# Nano-dollars for a million tokens: 0.001 USD a thousand in, 0.002 out.
MAKE_ROWS = """
import json
from datetime import UTC, datetime, timedelta
from accounts.models import Price, Team
from accounts.store.keys import make_key
since = datetime(2025, 1, 1, tzinfo=UTC)
Price.objects.create(provider="mock", model="*", effective_from=since, input=1_000_000_000, output=2_000_000_000)
team = Team.objects.create(name="blue", cost_centre="CC7", owner="ann")
closed = Team.objects.create(name="closed", disabled=True)
row, disabled = make_key(team, "disabled")
row.disabled = True
row.save()
keys = {
    "good": make_key(team, "good"),
    "narrow": make_key(team, "narrow", models=["mock/ok"]),
    "expired": make_key(team, "expired", expires_at=datetime.now(UTC) - timedelta(seconds=1)),
    "closed": make_key(closed, "closed"),
    "disabled": (row, disabled),
}
print(json.dumps({name: minted.text for name, (_, minted) in keys.items()}))
"""
