"""A setting that is wrong stops the start with one sentence that names it."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from qlite_site import env

ROOT = Path(__file__).resolve().parents[2]


def qlite(command: str, folder: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    around = os.environ | {"QLITE_DATA_DIR": str(folder)} | settings
    return subprocess.run(
        [sys.executable, "manage.py", command], cwd=ROOT, env=around, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "setting",
    [
        "QLITE_TIME_ZONE=Mars/Olympus",
        "QLITE_LOG_LEVEL=LOUD",
        "QLITE_JOURNAL_SYNC=perhaps",
        "QLITE_ROUTING_APPROVAL=on",
        "QLITE_PUBLIC_URL=qlite.example.com",
        "QLITE_DATA_DIR=/dev/null/qlite",
        "PORT=99999",
        "QLITE_SCRIPT_NAME=qlite",
        "QLITE_DEBUG=maybe",
        "QLITE_MAX_REQUEST_BYTES=64M",
        "DATABASE_URL=garbage",
        "DATABASE_URL=mysql://u:canary@h/x",
        "DATABASE_URL=oracel://u:canary@h/x",
        "QLITE_TIME_ZONE=Europe",
        "DATABASE_URL=postgres://u:canary@h:port/x",
        "QLITE_ALERT_WEBHOOK=https://u:canary@example.com/alerts",
        "QLITE_ALERT_WEBHOOK=http://169.254.169.254/latest",
        "QLITE_ALERT_WEBHOOK=http://8.8.8.8/alerts?token=canary",
        "QLITE_ALERT_WEBHOOK=https://metadata.google.internal/alerts",
        "QLITE_PUBLIC_URL=http://[bad",
        "QLITE_PUBLIC_URL=http://llm.example.com:port",
        "QLITE_ALLOWED_HOSTS=https://llm.example.com",
        "QLITE_ALLOWED_HOSTS=llm.example.com:8080",
        "QLITE_TRUSTED_ORIGINS=llm.example.com",
        "QLITE_TRUSTED_ORIGINS=https://llm.example.com/keys",
        "QLITE_TRUSTED_ORIGINS=*",
        "QLITE_CORS_ALLOW_ORIGINS=app.example",
        "QLITE_SCRIPT_NAME=/qlite?x",
        "DATABASE_URL=sqlite://:memory:",
        "DATABASE_URL=sqlite:///",
        "DATABASE_URL=postgres://",
        "QLITE_CACHE_TTL=99999999999",
        "QLITE_LEDGER_RETENTION_DAYS=99999999999",
        "QLITE_METRICS_TOKEN=tökencanary",
        "TIKTOKEN_CACHE_DIR=/nowhere",
    ],
)
def test_it_names_the_setting_that_is_wrong(tmp_path: Path, setting: str) -> None:
    name, _, value = setting.partition("=")
    run = qlite("serve", tmp_path, **{name: value})
    assert run.returncode == 1
    assert run.stderr.startswith(f"qlite cannot start: {name}")
    assert run.stderr.count("\n") == 1
    assert "canary" not in run.stderr


@pytest.mark.parametrize("path", ["nowhere.Stage", "os.path.join", "os.getcwd", "stage"])
def test_it_names_a_stage_that_is_none(tmp_path: Path, path: str) -> None:
    assert qlite("setup", tmp_path, DATABASE_URL="").returncode == 0
    run = qlite("serve", tmp_path, DATABASE_URL="", QLITE_BIND="127.0.0.1:0", QLITE_STAGES=path)
    assert run.returncode == 1
    assert run.stderr.startswith(f"qlite cannot start: QLITE_STAGES: {path}")
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["secret_key", "qlite_encryption_keys"])
def test_a_secret_that_a_full_disk_left_empty_is_not_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / name).touch()
    run = qlite("about", tmp_path, SECRET_KEY="", QLITE_ENCRYPTION_KEYS="")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"qlite cannot start: {tmp_path}/secrets/{name} holds no secret")


def test_processes_that_start_at_once_have_one_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QLITE_TEST_SECRET", "")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: env.kept_secret("QLITE_TEST_SECRET", tmp_path / "secrets"), range(32)))
    assert len(set(found)) == 1
    (file,) = (tmp_path / "secrets").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_it_says_which_setting_was_meant() -> None:
    given = [
        "QLITE_DRAIN_TIMEOUTS",
        "QLITE_DRAIN_TIMEOUT",
        "QLITE_ALLOWED_HOST",
        "QLITE_KEY",
        "QLITE_OPENAI_KEY",
        "PATH",
    ]
    assert env.misspelt(given) == [
        "QLITE_ALLOWED_HOST is no setting, QLITE_ALLOWED_HOSTS is.",
        "QLITE_DRAIN_TIMEOUTS is no setting, QLITE_DRAIN_TIMEOUT is.",
    ]
    # What is read elsewhere, or by others, and what a first start alone reads.
    others = [
        "QLITE_TEST_MODEL",
        "QLITE_TEST_PROVIDER",
        "QLITE_ADMIN_PASSWORD",
        "QLITE_DATABASE_POOL",
        "QLITE_TEST_KEY",
    ]
    assert env.misspelt(others) == []


def test_origins_are_read_as_browsers_name_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QLITE_TEST_ORIGINS", "https://a.example/, http://[::1]:3000, vscode-webview://x, *")
    assert env.origins("QLITE_TEST_ORIGINS", also=("*",)) == [
        "https://a.example",
        "http://[::1]:3000",
        "vscode-webview://x",
        "*",
    ]


@pytest.mark.parametrize("left", ["nothing", "an empty file"])
def test_it_makes_no_empty_database_where_one_is_gone(tmp_path: Path, left: str) -> None:
    file = tmp_path / "qlite.sqlite3"
    if left != "nothing":
        file.touch()
    run = qlite("serve", tmp_path, DATABASE_URL="")
    assert (run.returncode, run.stdout) == (3, "")
    assert run.stderr == f"CommandError: There is no database in {file}: put it back, or run `qlite setup`.\n"
    assert file.exists() == (left != "nothing") and not (file.exists() and file.stat().st_size)


def test_it_makes_a_data_folder_that_nobody_else_can_read(tmp_path: Path) -> None:
    assert qlite("about", tmp_path / "new").returncode == 0
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_it_says_in_one_line_that_a_disk_is_full(tmp_path: Path) -> None:
    around = os.environ | {"QLITE_DATA_DIR": str(tmp_path)}
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [sys.executable, "manage.py", "about"], cwd=ROOT, env=around, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert run.returncode == 1
    assert run.stderr == "qlite cannot go on: [Errno 28] No space left on device\n"


def test_it_says_in_one_line_that_the_database_cannot_be_used(tmp_path: Path) -> None:
    run = qlite("setup", tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/nowhere/file.sqlite3")
    assert run.returncode == 1
    assert run.stderr == "qlite cannot use the database (DATABASE_URL): unable to open database file\n"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("QLITE_TEST_LINE=a b", "a b"),
        ("export QLITE_TEST_LINE = a", "a"),
        ("QLITE_TEST_LINE='a # b'   # c", "a # b"),
        (r'QLITE_TEST_LINE="a \"b\""', 'a "b"'),
        ("QLITE_TEST_LINE=https://a.example/#b # c", "https://a.example/#b"),
        ("QLITE_TEST_LINE=pa$$word$HOME", "pa$$word$HOME"),
        ("QLITE_TEST_LINE=it's", "it's"),
        ("QLITE_TEST_LINE=  # nothing", ""),
        ("QLITE_TEST_LINE=", ""),
    ],
)
def test_it_reads_a_file_as_people_write_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, value: str
) -> None:
    monkeypatch.setenv("QLITE_TEST_LINE", "")  # so that it is gone afterwards
    monkeypatch.delenv("QLITE_TEST_LINE")
    (tmp_path / ".env").write_text(f"# a comment\n\n{line}\n")
    env.read_file(tmp_path / ".env")
    assert os.environ["QLITE_TEST_LINE"] == value


@pytest.mark.parametrize("line", ["no setting", "1A=b", "QLITE_TEST_LINE='a", 'QLITE_TEST_LINE="a"b'])
def test_it_passes_over_no_line_in_silence(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"\n{line}\n")
    with pytest.raises(ImproperlyConfigured, match="line 2 of"):
        env.read_file(tmp_path / ".env")


def test_a_bad_address_of_a_provider_leaves_no_half_of_a_first_start_behind(tmp_path: Path) -> None:
    bad = qlite("setup", tmp_path, DATABASE_URL="", OLLAMA_BASE_URL="127.0.0.1:11434")
    assert (bad.returncode, bad.stdout) == (1, "")
    assert bad.stderr == (
        "qlite cannot start: OLLAMA_BASE_URL: '127.0.0.1:11434/v1' is neither an https nor an http address\n"
    )
    assert "admin password" in qlite("setup", tmp_path, DATABASE_URL="").stdout


@pytest.mark.parametrize(
    ("value", "bind", "printed"),
    [
        ("", "127.0.0.1:8391", "127.0.0.1:8391"),
        ("localhost", "localhost:8391", "localhost:8391"),
        ("0.0.0.0", "0.0.0.0:8391", "127.0.0.1:8391"),
        ("0.0.0.0:8392", "0.0.0.0:8392", "127.0.0.1:8392"),
        (":8392", ":8392", "127.0.0.1:8392"),
        ("[::]:8392", "[::]:8392", "[::1]:8392"),
        ("10.0.0.7:8392", "10.0.0.7:8392", "10.0.0.7:8392"),
    ],
)
def test_it_prints_an_address_that_can_be_called(
    monkeypatch: pytest.MonkeyPatch, value: str, bind: str, printed: str
) -> None:
    monkeypatch.setenv("QLITE_TEST_BIND", value)
    assert env.bind("QLITE_TEST_BIND", 8391) == bind
    assert env.reachable(bind) == printed


@pytest.mark.parametrize("value", ["8080", "127.0.0.1:99999", "http://127.0.0.1:8080", "a:b", "::1", "[::1", "a b:1"])
def test_it_refuses_what_is_no_address_to_listen_on(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("QLITE_TEST_BIND", value)
    with pytest.raises(ImproperlyConfigured, match="QLITE_TEST_BIND"):
        env.bind("QLITE_TEST_BIND", 8391)


@pytest.mark.parametrize("value", ["/dev/null/qlite", "/dev/null", "~no-such-user/qlite"])
def test_it_names_a_folder_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("QLITE_TEST_FOLDER", value)
    with pytest.raises(ImproperlyConfigured, match="QLITE_TEST_FOLDER"):
        env.folder("QLITE_TEST_FOLDER", ROOT)


def test_the_name_that_people_use_is_an_allowed_host() -> None:
    assert env.host_of("https://llm.example.com:8443/x") == "llm.example.com"
    assert env.host_of("http://[::1]:8080") == "[::1]"


def test_a_file_of_settings_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"QLITE_TEST_LINE=\xff\xfe")
    with pytest.raises(ImproperlyConfigured, match=r"\.env cannot be read"):
        env.read_file(tmp_path / ".env")
