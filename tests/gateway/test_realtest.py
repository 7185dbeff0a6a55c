"""The calls to real providers, tried on the scripted one: what they print, and what they say is missing."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.bench.rig import ROOT
from loadtest.mockserver import Answer, Hit
from tests.gateway import wires
from tests.gateway.conftest import Furnished
from tests.gateway.stand import Stand
from tests.server.client import until

KEYS = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "groq": "GROQ_API_KEY",
}
TABLE = """\
providers:
  - {{name: openai, kind: openai, base_url: "{url}/v1", credential: sk-a, by_name: true, allow_private: true}}
  - {{name: anthropic, kind: anthropic, base_url: "{url}", credential: sk-b, by_name: true, allow_private: true}}
  - {{name: gemini, kind: gemini, base_url: "{url}", credential: sk-c, by_name: true, allow_private: true}}
  - {{name: groq, kind: groq, base_url: "{url}/v1", credential: sk-d, by_name: true, allow_private: true}}
"""
NO_SUCH = {
    "openai": b'{"error": {"message": "No such model.", "type": "invalid_request_error", "code": "model_not_found"}}',
    "anthropic": b'{"type": "error", "error": {"type": "not_found_error", "message": "No such model."}}',
    "gemini": b'{"error": {"code": 404, "status": "NOT_FOUND", "message": "No such model."}}',
}


@pytest.fixture(scope="module")
def stand(furnished: Furnished, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    home, keys, mock = furnished
    moved = home.moved(tmp_path_factory.mktemp("real") / "data")
    table = moved.folder / "real.yaml"
    table.write_text(TABLE.format(url=f"http://127.0.0.1:{mock.port}"))
    moved.run("import", str(table))
    stand = Stand(moved, keys, mock)
    try:
        yield stand
        assert stand.stop() == 0
    finally:
        stand.kill()


def realtest(folder: Path, *options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "loadtest.realtest", *options]
    surroundings = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        command, cwd=folder, env=surroundings | environment, capture_output=True, text=True, timeout=60
    )


def answer(stand: Stand, provider: str) -> None:
    """Let the mock answer as that provider does; it knows no model called no-such-model."""
    kind = provider if provider in wires.WIRES else "openai-compatible"

    def script(hit: Hit) -> Answer:
        if b"no-such-model" in hit.body or "no-such-model" in hit.path:
            return Answer(status=404, headers=wires.JSON, body=NO_SUCH.get(provider, NO_SUCH["openai"]))
        offered = b'"get_weather"' in hit.body and b'"21 degrees' not in hit.body
        return wires.WIRES[kind](hit, "tool" if offered else "text")

    stand.mock.script("*", script)


@pytest.mark.parametrize("provider", KEYS)
def test_it_makes_its_calls_and_prints_what_they_cost(provider: str, stand: Stand, tmp_path: Path) -> None:
    answer(stand, provider)
    key = {KEYS[provider]: "sk-x", "QLITE_TEST_PROVIDER": provider, "QLITE_TEST_KEY": stand.key}
    done = realtest(tmp_path, QLITE_TEST_URL=stand.base_url, **key)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 of 5 calls went well" in done.stdout
    for said in (wires.TEXT, "get_weather({", "model_not_found (upstream)", "10+5"):
        assert said in done.stdout, done.stdout
    assert stand.key not in done.stdout
    rows = until(lambda: stand.rows("model_asked LIKE ?", f"{provider}/%"), lambda rows: len(rows) == 5)
    assert sorted(row["status"] for row in rows) == ["failed", *["settled"] * 4]
    cost = sum(row["cost_nano"] for row in rows)
    assert f"they cost {cost / 1e9:.9f} USD" in done.stdout
    if provider in {"openai", "groq"}:  # the kinds that have prices from the start
        assert cost > 0


def test_it_says_what_an_answer_should_have_been(stand: Stand, tmp_path: Path) -> None:
    stand.mock.script("*", lambda hit: wires.openai(hit, "error"))
    key = {"OPENAI_API_KEY": "sk-x", "QLITE_TEST_PROVIDER": "openai", "QLITE_TEST_KEY": stand.key}
    done = realtest(tmp_path, QLITE_TEST_URL=stand.base_url, **key)
    assert done.returncode == 1
    assert "0 of 5 calls went well" in done.stdout
    assert "WRONG" in done.stdout
    assert "Too many words." in done.stdout


def test_it_says_that_no_gateway_answers(tmp_path: Path) -> None:
    key = {"OPENAI_API_KEY": "sk-x", "QLITE_TEST_PROVIDER": "openai", "QLITE_TEST_KEY": "k"}
    done = realtest(tmp_path, QLITE_TEST_URL="http://127.0.0.1:9", **key)
    assert done.returncode == 1
    assert "ConnectError" in done.stdout


@pytest.mark.parametrize("provider", KEYS)
def test_without_a_key_it_calls_nobody_and_says_which_is_missing(provider: str, tmp_path: Path) -> None:
    done = realtest(tmp_path, QLITE_TEST_PROVIDER=provider, QLITE_TEST_KEY="k")
    assert done.returncode == 2
    assert done.stderr.startswith(f"{KEYS[provider]} is not set")
    assert done.stdout == ""


def test_it_wants_a_key_of_the_gateway_and_a_provider_it_knows(tmp_path: Path) -> None:
    done = realtest(tmp_path, QLITE_TEST_PROVIDER="openai", OPENAI_API_KEY="sk-x")
    assert (done.returncode, done.stderr[:25]) == (2, "QLITE_TEST_KEY is not set")
    done = realtest(tmp_path)
    assert (done.returncode, done.stderr[:35]) == (2, "QLITE_TEST_PROVIDER must be one of ")


def test_env_check_tells_what_is_set_and_no_secret(tmp_path: Path) -> None:
    done = realtest(tmp_path, "--env-check")
    assert done.returncode == 0
    assert done.stdout.count("missing") == 5
    assert "nothing yet" in done.stdout
    (tmp_path / ".env").write_text("QLITE_TEST_KEY=sk-secret-1\n")
    done = realtest(tmp_path, "--env-check", GROQ_API_KEY="sk-secret-2")
    assert done.returncode == 0
    assert "Can run: make test-groq." in done.stdout
    assert "secret" not in done.stdout
