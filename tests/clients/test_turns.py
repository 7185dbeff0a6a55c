"""Codex CLI, Claude Code and Gemini CLI, the real ones, each for one turn with a tool call."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.bench.rig import free_port
from loadtest.mockserver import Answer, Hit, MockServer, in_thread
from tests.clients import turn
from tests.conftest import IN_CI
from tests.gateway import wires
from tests.gateway.stand import House, Stand
from tests.server.client import until

pytestmark = pytest.mark.clients

PROMPT = "Tell me what the note says."
TABLE = """\
providers:
  - {{name: p-openai, kind: openai-compatible, base_url: "http://127.0.0.1:{port}/v1", credential: sk-a}}
  - {{name: p-anthropic, kind: anthropic, base_url: "http://127.0.0.1:{port}", credential: sk-b}}
  - {{name: p-gemini, kind: gemini, base_url: "http://127.0.0.1:{port}", credential: sk-c}}
routes:
  - {{name: on-openai-compatible, cache_ttl: 0, targets: [{{provider: p-openai, model: m-1}}]}}
  - {{name: on-anthropic, cache_ttl: 0, targets: [{{provider: p-anthropic, model: claude-x}}]}}
  - {{name: on-gemini, cache_ttl: 0, targets: [{{provider: p-gemini, model: gemini-3-pro}}]}}
  - {{name: gpt-6.1-sol, cache_ttl: 0, targets: [{{provider: p-openai, model: m-1}}]}}
"""


@pytest.fixture(scope="module")
def programs() -> Path:
    try:
        return turn.install()
    except turn.NoNpm as why:
        pytest.skip(str(why))
    except turn.Missing as why:
        if IN_CI:
            raise
        pytest.skip(str(why))


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A gateway with the scripted provider behind it, in three dialects."""
    with in_thread() as mock:
        home = House(tmp_path_factory.mktemp("clients") / "data", free_port())
        home.folder.mkdir()
        keys = home.furnish_for_tests(mock.port)
        table = home.folder / "clients.yaml"
        table.write_text(TABLE.format(port=mock.port))
        home.run("import", str(table))
        stand = Stand(home, keys, mock)
        try:
            yield stand
            assert stand.stop() == 0
            assert "The ledger is sound" in stand.verify()
        finally:
            stand.kill()


@pytest.fixture
def note(tmp_path: Path) -> Path:
    """A file with a word that nobody can know without reading it."""
    path = tmp_path / "folder" / "note.txt"
    path.parent.mkdir()
    path.write_text(f"nonce-{secrets.token_hex(8)}\n")
    return path


def answer_with_the_note(mock: MockServer, kind: str, note: Path) -> None:
    """Let the model call the tool that reads the note, and say what is in it once it knows."""

    def script(hit: Hit) -> Answer:
        if "/count_tokens" in hit.path:
            return Answer(body=b'{"input_tokens": 10}')
        wire = getattr(wires, "openai" if kind == "openai-compatible" else kind)
        if hit.nonce:
            answer: Answer = wire(hit, "text", text=f"The note says {hit.nonce}.")
        elif call := reading(hit, note):
            answer = wire(hit, "tool", tool=call[0], arguments=json.dumps(call[1]))
        else:
            answer = wire(hit, "text", text="A note")
        return answer

    mock.hits.clear()
    mock.script("*", script)


def reading(hit: Hit, note: Path) -> tuple[str, dict[str, str]] | None:
    """The tool among those offered that reads a file, and what it is called with."""
    tools = [each for tool in hit.json.get("tools", []) for each in tool.get("functionDeclarations", [tool])]
    offered = {tool.get("function", tool).get("name") for tool in tools}
    calls = {
        "exec_command": {"cmd": f"cat {note}"},
        "exec": {"input": f"text(await tools.exec_command({{cmd: 'cat {note}'}}))"},  # a program that calls tools
        "Read": {"file_path": str(note)},
        "read_file": {"file_path": str(note)},
    }
    return next(((name, given) for name, given in calls.items() if name in offered), None)


@pytest.mark.parametrize(
    ("program", "kind", "model"),
    [
        ("codex", "openai-compatible", "on-openai-compatible"),
        ("codex", "openai-compatible", "gpt-6.1-sol"),  # a name that it knows, and has other tools for
        ("codex", "anthropic", "on-anthropic"),
        ("claude", "openai-compatible", "on-openai-compatible"),
        ("claude", "anthropic", "on-anthropic"),
        ("gemini", "openai-compatible", "on-openai-compatible"),
        ("gemini", "gemini", "on-gemini"),
    ],
)
def test_it_finishes_a_turn_with_a_tool_call(
    program: str, kind: str, model: str, programs: Path, stand: Stand, note: Path, tmp_path: Path
) -> None:
    answer_with_the_note(stand.mock, kind, note)
    where = turn.Where(f"http://127.0.0.1:{stand.port}", stand.key, model)
    surface = {"codex": "responses", "claude": "messages", "gemini": "gemini"}[program]
    said = turn.PROGRAMS[program](programs, where, PROMPT, home=tmp_path / "home", folder=note.parent)
    assert said.code == 0, said
    assert f"The note says {note.read_text().strip()}." in said.out, said
    # Nothing was refused, asked twice or left open, and each answer was billed.
    asked = [hit for hit in stand.mock.hits if "/count_tokens" not in hit.path]
    rows = until(
        lambda: stand.rows("model_asked = ? AND surface = ?", where.model, surface),
        lambda rows: len(rows) == len(asked),
    )
    assert {row["status"] for row in rows} == {"settled"}
    assert {(row["input"], row["output"], row["usage_source"]) for row in rows} == {(*wires.USED, "provider")}
    if (program, kind) == ("claude", "anthropic"):
        # Its requests have members that Anthropic refuses unless the betas they belong to are named.
        assert all("context-management" in hit.headers["anthropic-beta"] for hit in asked)
