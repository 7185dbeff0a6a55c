"""One turn of Codex CLI, Claude Code or Gemini CLI, the real programs, against a gateway.

    python -m tests.clients.turn codex  --url http://127.0.0.1:8080 --key sk-ql_... --model ROUTE "Say hello"
    python -m tests.clients.turn claude --url http://127.0.0.1:8080 --key sk-ql_... --model ROUTE "Say hello"
    python -m tests.clients.turn gemini --url http://127.0.0.1:8080 --key sk-ql_... --model ROUTE "Say hello"

The programs come from npm at the first call and are kept in the user's cache folder. They run in a home and a folder of
their own, with a proxy that leads nowhere: they reach loopback and nothing else.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

CODEX, CLAUDE, GEMINI = "0.169.0", "2.1.197", "0.61.0"
PACKAGES = (f"@openai/codex@{CODEX}", f"@anthropic-ai/claude-code@{CLAUDE}", f"@google/gemini-cli@{GEMINI}")
INSTALL_SECONDS = 300.0
TURN_SECONDS = 90.0
# Loopback's discard port: nobody listens there.
NOWHERE = "http://127.0.0.1:9"


class Missing(Exception):
    """The programs are not there; the sentence says why."""


class NoNpm(Missing):
    """There is no npm on this machine."""


@dataclass(frozen=True)
class Where:
    """A gateway (its root, without /v1), a key of it, and the model to ask for."""

    url: str
    key: str
    model: str


@dataclass(frozen=True)
class Said:
    """What a program printed, and its exit code."""

    code: int
    out: str
    err: str


def install() -> Path:
    """Return the folder of the installed programs' packages; raises Missing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "qlite" / f"codex-{CODEX}-claude-code-{CLAUDE}-gemini-{GEMINI}"
    if not folder.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise NoNpm("npm is not installed")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            _npm_install(npm, Path(made) / "whole")
            _move(Path(made) / "whole", folder)
    return folder / "node_modules"


def _npm_install(npm: str, folder: Path) -> None:
    folder.mkdir()
    # What the packages' own scripts would do is not needed, so none of them runs.
    command = [npm, "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", *PACKAGES]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        raise Missing(f"npm install took longer than {INSTALL_SECONDS:.0f} s") from None
    if done.returncode:
        raise Missing(f"npm install failed ({done.returncode}): {done.stderr.strip()[-500:]}")


def _move(made: Path, folder: Path) -> None:
    """In one step, so that a folder that is there is whole; whoever else was quicker wins."""
    try:
        made.rename(folder)
    except OSError:
        if not folder.exists():
            raise


def codex(programs: Path, where: Where, prompt: str, *, home: Path, folder: Path) -> Said:
    """Run one turn of Codex CLI in `folder`; raises subprocess.TimeoutExpired."""
    (home / ".codex").mkdir(parents=True)
    (home / ".codex" / "config.toml").write_text(CODEX_CONFIG.format(url=where.url, model=where.model))
    command = ["node", str(programs / "@openai" / "codex" / "bin" / "codex.js"), "exec", "--skip-git-repo-check"]
    # Its own sandbox needs a kernel that not every container has; the commands are those of our own provider.
    command += ["--dangerously-bypass-approvals-and-sandbox", "--cd", str(folder), prompt]
    return _run(command, home, folder, CODEX_HOME=str(home / ".codex"), QLITE_KEY=where.key)


def claude(programs: Path, where: Where, prompt: str, *, home: Path, folder: Path) -> Said:
    """Run one turn of Claude Code in `folder`; raises subprocess.TimeoutExpired."""
    home.mkdir(parents=True, exist_ok=True)
    wrapper = programs / "@anthropic-ai" / "claude-code" / "cli-wrapper.cjs"
    command = ["node", str(wrapper), "--print", "--model", where.model, "--allowed-tools", "Read", "--", prompt]
    return _run(
        command,
        home,
        folder,
        ANTHROPIC_BASE_URL=where.url,
        ANTHROPIC_AUTH_TOKEN=where.key,
        # What it asks aside from the conversation, titles and the like.
        ANTHROPIC_DEFAULT_HAIKU_MODEL=where.model,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        DISABLE_TELEMETRY="1",
        DISABLE_ERROR_REPORTING="1",
        DISABLE_AUTOUPDATER="1",
    )


def gemini(programs: Path, where: Where, prompt: str, *, home: Path, folder: Path) -> Said:
    """Run one turn of Gemini CLI in `folder`; raises subprocess.TimeoutExpired."""
    (home / ".gemini").mkdir(parents=True)
    (home / ".gemini" / "settings.json").write_text(GEMINI_SETTINGS)
    script = programs / "@google" / "gemini-cli" / "bundle" / "gemini.js"
    # Without --yolo it has no tools where nobody can be asked.
    command = ["node", str(script), "--model", where.model, "--yolo", "--prompt", prompt]
    address = {"GOOGLE_GEMINI_BASE_URL": where.url, "GEMINI_API_KEY": where.key}
    return _run(command, home, folder, **address, GEMINI_CLI_TRUST_WORKSPACE="true")


PROGRAMS = {"codex": codex, "claude": claude, "gemini": gemini}


def _run(command: list[str], home: Path, folder: Path, **environment: str) -> Said:
    surroundings = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "NO_PROXY": "127.0.0.1,localhost",
        "HTTP_PROXY": NOWHERE,
        "HTTPS_PROXY": NOWHERE,
    }
    done = subprocess.run(
        command,
        cwd=folder,
        env=surroundings | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TURN_SECONDS,
    )
    return Said(done.returncode, done.stdout, done.stderr)


CODEX_CONFIG = """\
model = "{model}"
model_provider = "qlite"
check_for_update_on_startup = false

[model_providers.qlite]
name = "qlite"
base_url = "{url}/v1"
env_key = "QLITE_KEY"
wire_api = "responses"

[analytics]
enabled = false

[otel]
exporter = "none"

[features]
plugins = false
apps = false
"""

GEMINI_SETTINGS = """\
{
  "general": {"enableAutoUpdate": false},
  "privacy": {"usageStatisticsEnabled": false},
  "security": {"auth": {"selectedType": "gemini-api-key"}}
}
"""


def main() -> int:
    """Run one turn, print what the program printed, and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", choices=PROGRAMS)
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the gateway's root, without /v1")
    parser.add_argument("--key", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("prompt")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as folder:
        where = Where(asked.url, asked.key, asked.model)
        said = PROGRAMS[asked.program](install(), where, asked.prompt, home=Path(home) / "home", folder=Path(folder))
    print(said.out)
    print(said.err, file=sys.stderr)
    return said.code


if __name__ == "__main__":
    sys.exit(main())
