"""`qlite import` and `qlite export`."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from routing import store
from routing.models import Provider, Revision, Route

pytestmark = pytest.mark.django_db
TEXT = """
providers:
- {name: box, kind: openai-compatible, base_url: 'http://127.0.0.1:11434/v1', credential: sk-in-the-clear}
- {name: main, kind: openai, credential: '${ROUTES_TEST_KEY}'}
routes:
- {name: small, targets: [{provider: box, model: llama3}, {provider: main, model: gpt-4o-mini, tier: 1}]}
"""


def run(*words: str) -> list[str]:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue().splitlines()


def file(folder: Path, text: str = TEXT) -> str:
    path = folder / "routes.yaml"
    path.write_text(text)
    return str(path)


def test_it_imports_and_says_what_it_did(tmp_path: Path) -> None:
    assert run("import", file(tmp_path)) == [
        "provider main: the environment variable ROUTES_TEST_KEY is not set here",
        "provider box: http://127.0.0.1:11434/v1 is on a private network; that is now allowed",
        "provider box: credential stored, encrypted",
        "provider box added: openai-compatible at http://127.0.0.1:11434/v1",
        "provider main added: openai at https://api.openai.com/v1",
        "route small added: box/llama3, main/gpt-4o-mini (tier 1)",
        f"Published revision {Revision.objects.get().number}.",
    ]
    box = Provider.objects.get(name="box")
    assert (box.allow_private, box.credential) == (True, "sk-in-the-clear")
    assert Provider.objects.get(name="main").credential_env == "ROUTES_TEST_KEY"
    assert (Revision.objects.get().author, Revision.objects.get().note) == ("command line", "Imported routes.yaml")


def test_it_changes_nothing_the_second_time(tmp_path: Path) -> None:
    run("import", file(tmp_path))
    assert run("import", file(tmp_path))[-1].startswith("The routing table is as before: revision")
    assert Revision.objects.count() == 1


def test_it_shows_and_changes_nothing_on_a_dry_run(tmp_path: Path) -> None:
    said = run("import", file(tmp_path), "--dry-run")
    assert "route small added: box/llama3, main/gpt-4o-mini (tier 1)" in said
    assert said[-1] == "Nothing was changed: this was a dry run."
    assert (Provider.objects.count(), Revision.objects.count()) == (0, 0)


def test_it_removes_only_with_replace(tmp_path: Path) -> None:
    run("import", file(tmp_path))
    other = "routes: [{name: other}]"
    run("import", file(tmp_path, other), "--note", "more")
    assert set(Route.objects.values_list("name", flat=True)) == {"small", "other"}
    assert store.latest().note == "more"  # type: ignore[union-attr]
    said = run("import", file(tmp_path, other), "--replace")
    assert "route small removed" in said
    assert (Route.objects.get().name, Provider.objects.count()) == ("other", 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("routes: [{name: a, description: '${ROUTES_TEST_MISSING}'}]", "ROUTES_TEST_MISSING is not set"),
        ("providers: [{name: a, kind: openai, base_url: 'http://169.254.169.254'}]", "metadata"),
        ("providers: [{name: a, kind: openai, base_url: 'http://8.8.8.8'}]", "unencrypted"),
        ("routes: [{name: a, targets: [{provider: gone}]}]", "no provider is called 'gone'"),
        ("routes:\n- {name: a}\n- {name: b, targets: [{provider: gone}]}", "^line 3: route b: no provider"),
        ("routes:\n- name: a\n  targets:\n  - {tier: x}", "^line 4: route 'a', target 1: provider"),
        ("nonsense", "not a mapping"),
    ],
)
def test_it_refuses_with_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run("import", file(tmp_path, text))
    assert Revision.objects.count() == 0


def test_it_takes_no_credential_to_another_host_unless_it_is_said(tmp_path: Path) -> None:
    run("import", file(tmp_path))
    here, there = "http://127.0.0.1:11434/v1", "http://127.0.0.1:6666/v1"
    before = store.latest()
    exported = tmp_path / "out.yaml"
    run("export", str(exported))
    moved = file(tmp_path, exported.read_text().replace(here, there))
    for options in ((), ("--dry-run",), ("--replace",)):
        with pytest.raises(CommandError, match=r"Nothing was changed: .* of box was entered for another host.*--move"):
            run("import", moved, *options)
        assert (Provider.objects.get(name="box").base_url, store.latest()) == (here, before)
    run("import", moved, "--move-credentials")
    box = Provider.objects.get(name="box")
    assert (box.base_url, box.credential) == (there, "sk-in-the-clear")
    run("import", file(tmp_path, TEXT.replace("sk-in-the-clear", "sk-entered-again")))
    box.refresh_from_db()
    assert (box.base_url, box.credential) == (here, "sk-entered-again")
    run(
        "import",
        file(tmp_path, f"providers: [{{name: box, kind: openai-compatible, base_url: '{there}', credential: ''}}]"),
    )
    assert not Provider.objects.get(name="box").has_stored_credential


def test_it_says_when_a_file_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        run("import", str(tmp_path / "none.yaml"))
    with pytest.raises(CommandError, match="cannot be written"):
        run("export", str(tmp_path / "none" / "out.yaml"))


def test_it_exports_what_can_be_imported_elsewhere(tmp_path: Path, settings: Any) -> None:
    run("import", file(tmp_path))
    serving = store.latest()
    assert serving is not None
    exported = tmp_path / "out.yaml"
    assert run("export", str(exported)) == []
    assert exported.read_text().splitlines() == run("export")
    assert "sk-in-the-clear" not in exported.read_text()
    assert "credential: ${ROUTES_TEST_KEY}" in exported.read_text()
    assert run("import", str(exported), "--replace")[-1].startswith("The routing table is as before")
    assert Provider.objects.get(name="box").credential == "sk-in-the-clear"


def test_it_exports_the_published_table_and_not_the_draft(tmp_path: Path) -> None:
    run("import", file(tmp_path))
    Route.objects.create(name="draft")
    assert not any("draft" in line for line in run("export"))


def test_it_rotates_credentials_to_the_first_key(tmp_path: Path, settings: Any) -> None:
    run("import", file(tmp_path))
    old = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = ["a new passphrase for all", *old]
    assert run("rotatecredentials") == ["Sealed 1 credentials with the first of QLITE_ENCRYPTION_KEYS."]
    settings.ENCRYPTION_KEYS = ["a new passphrase for all"]
    assert Provider.objects.get(name="box").credential == "sk-in-the-clear"
    settings.ENCRYPTION_KEYS = old
    with pytest.raises(CommandError, match="cannot be decrypted"):
        run("rotatecredentials")
