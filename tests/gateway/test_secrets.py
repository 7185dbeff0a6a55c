"""Unique words for every secret, and a search for them wherever they must not be (reliability SR-22)."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.mockserver import Answer
from tests.gateway.conftest import Start
from tests.gateway.stand import CHAT, SECRET, Got, Stand

PROMPT = "prompt-canary-Xk81"
USER = "user-canary-Xk82"
TOOL = "tool-canary-Xk83"
KEY_IN_URL = "url-canary-Xk84"
WRONG_KEY = "sk-ql_wrong-canary-Xk85"
HEADER = "header-canary-Xk86"
ANSWER = "answer-canary-Xk87"
MODELS = ["ok", "status-400", "status-401", "status-404", "status-429", "status-500", "drop", "html-200", "redirect",
    "empty-200", "cut-2", "rst-2", "error-event-2", "usage-none", "bad-json-1", "no-finish"]  # fmt: skip


def echoing(status: int, stand: Stand) -> Answer:
    """A provider that quotes its caller's credential and its own address in its error."""
    message = f"{SECRET} is not welcome at {stand.mock.base_url} on 127.0.0.1:{stand.mock.port}"
    return Answer(status=status, body=json.dumps({"error": {"message": message, "type": "odd", "code": None}}).encode())


def talk(stand: Stand) -> Iterator[Got]:
    """Calls that go well, and badly in as many ways as there are."""
    tools = [{"type": "function", "function": {"name": "tool", "description": TOOL}}]
    ask = stand.ask(content=PROMPT, user=USER, tools=tools, metadata={"note": USER})
    for model in MODELS:
        for stream in (False, True):
            yield stand.call(body=ask | {"model": f"mock/{model}", "stream": stream}, x_request_id="fine")
    for model in ("unreachable", "second-chance", "kept", "kept", "stub", "stub/cut", "no-such-model"):
        yield stand.call(body=ask | {"model": model, "stream": True}, cookie=HEADER, user_agent=HEADER, referer=HEADER)
    yield stand.call("POST", f"{CHAT}?key={KEY_IN_URL}", ask)
    yield stand.call("GET", f"/v1/models?api_key={KEY_IN_URL}", key=None)
    yield stand.call("GET", f"/v1/nothing?key={KEY_IN_URL}")
    yield stand.call("GET", f"/healthz?key={KEY_IN_URL}")
    yield stand.call(body=ask, key=WRONG_KEY)
    yield stand.call(body=ask, key=None, x_api_key=WRONG_KEY)
    yield stand.call(body=ask | {"n": PROMPT})
    yield stand.call(body=json.dumps(ask).encode() + PROMPT.encode())
    yield stand.call(body=ask | {"messages": [{"role": "user", "content": {"a": PROMPT}}]})
    for status in (400, 401, 403, 404, 422, 429, 500, 503):
        stand.mock.script("ok", echoing(status, stand))
        for stream in (False, True):
            yield stand.call(body=ask | {"stream": stream})
    for events in ([], [b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n']):
        stand.mock.script("ok", Answer(chunks=[*events, b"data: " + (echoing(500, stand).body or b"") + b"\n\n"]))
        yield stand.call(body=ask | {"stream": True})
    stand.mock.script("ok")


def files_with(folder: Path, word: str) -> list[str]:
    """The files of a data folder that hold `word`, in any encoding a database might choose."""
    spelled = [word.encode(), word.encode("utf-16-le")]
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(each in path.read_bytes() for each in spelled)
    ]


@pytest.fixture(scope="module")
def spoken(stand: Stand) -> list[Got]:
    found = list(talk(stand))
    last = stand.call(body=stand.ask(content=PROMPT))
    stand.row(last.id)
    return found


def test_no_answer_holds_a_secret(stand: Stand, spoken: list[Got]) -> None:
    for got in spoken:
        told = str(got.headers) + got.body.decode()
        for word in (SECRET, stand.key, stand.key[-20:], PROMPT, USER, TOOL, KEY_IN_URL, WRONG_KEY, HEADER):
            assert word not in told, told
        if got.status >= 400:
            assert "127.0.0.1" not in told, told
            assert "Traceback" not in told
            assert len(got.body) < 2048


@pytest.mark.parametrize("path", ["/metrics", "/health", "/healthz", "/readyz", "/", "/v1/models", "/v1/models/kept"])
def test_no_page_holds_a_secret(stand: Stand, spoken: list[Got], path: str) -> None:
    page = stand.call("GET", path).body.decode()
    for word in (SECRET, stand.key, "canary", "127.0.0.1"):
        assert word not in page


def test_the_log_holds_no_secret_and_no_prompt(stand: Stand, spoken: list[Got]) -> None:
    """Everything the process has said on stdout and stderr."""
    log = stand.log.read_text()
    assert log.count('"logger":"qlite.requests"') > 40
    for word in (SECRET, stand.key, stand.key[-20:], "canary"):
        assert word not in log
    assert "Traceback" not in log
    assert all(json.loads(line) for line in log.splitlines())


def test_nothing_on_disk_holds_a_secret_or_a_prompt(stand: Stand, spoken: list[Got]) -> None:
    for word in (SECRET, stand.key, stand.key[-20:], PROMPT, USER, TOOL, KEY_IN_URL, WRONG_KEY, HEADER):
        assert files_with(stand.home.folder, word) == []


def test_the_ledgers_export_holds_no_secret_and_no_prompt(stand: Stand, spoken: list[Got]) -> None:
    exported = stand.home.run("ledger", "export")
    assert exported.count("\n") > 40
    for word in (SECRET, stand.key, "canary"):
        assert word not in exported


def test_answers_are_on_disk_only_where_they_are_kept_for_giving_again(start: Start) -> None:
    stand = start()
    message = {"role": "assistant", "content": ANSWER}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    stand.mock.script("ok", Answer(body=json.dumps({"choices": [choice]}).encode()))
    stand.call(body=stand.ask("mock/ok", content=PROMPT))
    assert stand.stop() == 0
    assert files_with(stand.home.folder, ANSWER) == []
    stand.start()
    stand.call(body=stand.ask("kept", content=PROMPT))
    assert stand.stop() == 0
    assert {name.partition("-")[0] for name in files_with(stand.home.folder, ANSWER)} == {"qlite.sqlite3"}
    assert files_with(stand.home.folder, PROMPT) == []
