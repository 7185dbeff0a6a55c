"""The processes of a benchmark: mock, control, nginx and a real gateway, each on its core, their logs in a folder."""

import contextlib
import http.client
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loadtest import procfs
from loadtest.bench.machine import Cores, pin
from loadtest.client.request import Where

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0
STOP_SECONDS = 20.0
# What would let a caller's own set-up leak into the measured gateway.
UNWANTED = ("QLITE_", "DATABASE_URL", "REDIS_URL", "OPENAI_", "GROQ_", "ANTHROPIC_", "GEMINI_", "OLLAMA_")


@dataclass(slots=True)
class Server:
    """A running process that answers on a port of loopback."""

    where: Where
    process: subprocess.Popen[bytes]
    started: float

    @property
    def pids(self) -> list[int]:
        return procfs.tree(self.process.pid)

    def stop(self) -> int:
        """SIGTERM, and SIGKILL for who does not listen; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@dataclass(slots=True)
class Rig:
    """Starts the servers in `folder` and forgets none: `close` stops them all."""

    folder: Path
    cores: Cores
    servers: list[Server]

    def mock(self) -> Server:
        """The mock server without latency of its own: model names such as `paced-3x50ms` ask for it."""
        port = free_port()
        command = [sys.executable, "-m", "loadtest.mockserver", "--port", str(port)]
        return self._start(Where("direct", port), command, core=self.cores.others)

    def control(self, mock: Server) -> Server:
        port = free_port()
        upstream = f"http://127.0.0.1:{mock.where.port}"
        command = [sys.executable, "-m", "loadtest.control", "--port", str(port), "--upstream", upstream]
        return self._start(Where("control", port), command)

    def nginx(self, mock: Server) -> Server | None:
        """A plain proxy of one process, or None where nginx is not installed."""
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            return None
        port, home = free_port(), self.folder / "nginx"
        home.mkdir()
        config = home / "nginx.conf"
        config.write_text(NGINX.replace("LISTEN", str(port)).replace("MOCK", str(mock.where.port)))
        return self._start(Where("nginx", port), [program, "-p", str(home), "-c", str(config), "-e", "stderr"])

    def gateway(self, home: "Home", key: str) -> Server:
        """A gateway as its users start it, on a data folder that has been set up."""
        where = Where("qlite", home.port, key)
        return self._start(where, [*qlite(), "serve", *home.options], environment=home.environment, wait=False)

    def _start(
        self,
        where: Where,
        command: Sequence[str],
        *,
        core: int | None = -1,
        environment: Mapping[str, str] | None = None,
        wait: bool = True,
    ) -> Server:
        core = self.cores.gateway if core == -1 else core
        started = time.perf_counter()
        with (self.folder / f"{where.name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, preexec_fn=lambda: pin(core)
            )
        server = Server(where, process, started)
        self.servers.append(server)
        if wait:
            wait_for(server, "/health")
        return server

    def close(self) -> None:
        for server in reversed(self.servers):
            server.stop()


@contextlib.contextmanager
def rig(folder: Path, cores: Cores) -> Iterator[Rig]:
    """A rig that is taken down at the end, whatever happened."""
    made = Rig(folder, cores, [])
    try:
        yield made
    finally:
        made.close()


@dataclass(frozen=True, slots=True)
class Home:
    """A gateway's data folder, its port, and how it is started."""

    folder: Path
    port: int
    options: tuple[str, ...] = ()
    database: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Ours, without anything that would set up another gateway than the default one."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(UNWANTED)}
        if self.database:
            kept["DATABASE_URL"] = self.database
        return kept | {
            "QLITE_DATA_DIR": str(self.folder),
            "QLITE_ADMIN_PASSWORD": secrets.token_urlsafe(16),
            "QLITE_BIND": f"127.0.0.1:{self.port}",
            "PORT": str(self.port),
            **self.settings,
        }

    def run(self, *command: str) -> str:
        """Run one qlite command to its end and return what it printed; raises with its error output."""
        done = subprocess.run(
            [*qlite(), *command], cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=60
        )
        if done.returncode:
            raise RuntimeError(f"qlite {command[0]} failed ({done.returncode}): {done.stderr[-2000:]}")
        return done.stdout.strip()

    def furnish(self, mock_port: int, models: Sequence[str]) -> str:
        """Migrate, add the mock as a provider with these models and a price, and return a new API key."""
        self.run("setup")
        self.run("shell", "-v", "0", "-c", PRICE)
        table = self.folder / "bench.yaml"
        table.write_text(PROVIDERS.format(port=mock_port, models=", ".join(models)))
        self.run("import", str(table))
        return self.run("createkey", "--team", "bench", "--name", "bench", "--quiet")

    def budgeted_key(self) -> str:
        """Return a key of another team, which has a hard budget that is never reached."""
        key = self.run("createkey", "--team", "bench-budget", "--name", "bench", "--quiet")
        self.run("shell", "-v", "0", "-c", BUDGET)
        return key


def qlite() -> list[str]:
    """The console script of this environment, or manage.py where it is not installed."""
    script = Path(sys.executable).with_name("qlite")
    return [str(script)] if script.exists() else [sys.executable, str(ROOT / "manage.py")]


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(server: Server, path: str) -> float:
    """Seconds from the start of the process until `path` answers 200; raises when it ends or takes too long."""
    while time.perf_counter() - server.started < START_SECONDS:
        if server.process.poll() is not None:
            break
        with (
            contextlib.suppress(OSError, http.client.HTTPException),
            contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.where.port, timeout=5)) as connection,
        ):
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return time.perf_counter() - server.started
        time.sleep(0.01)
    raise RuntimeError(f"{server.where.name} did not answer on {path}; see its log")


PROVIDERS = """\
providers:
  - name: mock
    type: openai-compatible
    base_url: http://127.0.0.1:{port}/v1
    api_key: none
    models: [{models}]
"""

# So that every answer is priced, as it is for a company; nano-dollars for a million tokens.
PRICE = """
from datetime import UTC, datetime
from accounts.models import Price
since = datetime(2025, 1, 1, tzinfo=UTC)
Price.objects.create(provider="mock", model="paced-*", effective_from=since, input=150_000_000, output=600_000_000)
"""

BUDGET = """
from accounts.models import Budget, Team
Budget.objects.create(team=Team.objects.get(name="bench-budget"), amount_nano=10**15)
"""

NGINX = """\
daemon off;
master_process off;
pid nginx.pid;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    upstream mock { server 127.0.0.1:MOCK; keepalive 64; keepalive_requests 100000000; }
    server {
        listen 127.0.0.1:LISTEN;
        keepalive_requests 100000000;
        tcp_nodelay on;
        location / {
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }
    }
}
"""
