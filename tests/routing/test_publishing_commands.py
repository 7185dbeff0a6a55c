"""`qlite diff`, `publish`, `rollback`, `import --env` and `export --revision`."""

from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from routing import store
from routing.models import Provider, Publication, Revision, Route
from tests.routing.tables import table

pytestmark = pytest.mark.django_db
BOX = {"name": "box", "kind": "openai-compatible", "base_url": "https://llm.example/v1", "free": True}
STUB = {"name": "stub", "kind": "stub", "free": True, "credential": None}
SMALL = {"name": "small", "targets": [{"provider": "box", "model": "m"}]}
TO_60 = "route small: cache_ttl none -> 60"


@pytest.fixture(autouse=True)
def first(settings: Any) -> Revision:
    settings.ROUTING_REVIEW = True
    return store.apply(table([BOX, STUB], [SMALL]), "setup")


def run(*words: str) -> list[str]:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue().splitlines()


def edit(**fields: Any) -> None:
    Route.objects.filter(name="small").update(**fields)
    store.save("olga", "slower")


def differs(*words: str) -> list[str]:
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("diff", *words, stdout=out)
    assert ended.value.code == 1
    return out.getvalue().splitlines()


def test_diff_compares_what_serves_with_the_draft_and_any_two(first: Revision, tmp_path: Path) -> None:
    assert run("diff") == ["No difference."]
    edit(cache_ttl=60)
    assert differs() == [TO_60]
    assert differs("draft", str(first.number)) == ["route small: cache_ttl 60 -> none"]
    file = tmp_path / "routes.yaml"
    run("export", str(file), "--revision", "draft")
    assert run("diff", str(file), "draft") == ["No difference."]
    assert differs("serving", str(file)) == [TO_60]
    for word, said in (("999", "no revision 999"), ("none.yaml", "cannot be read")):
        with pytest.raises(CommandError, match=said) as refused:
            run("diff", word)
        assert refused.value.returncode == 2


def test_export_writes_any_revision(first: Revision) -> None:
    edit(cache_ttl=60)
    run("publish")
    assert "cache_ttl" not in "".join(run("export", "--revision", str(first.number)))
    assert "cache_ttl: 60" in "".join(run("export"))
    with pytest.raises(CommandError, match="there is no revision 999"):
        run("export", "--revision", "999")


def test_publish_shows_the_difference_and_publishes() -> None:
    assert run("publish") == ["There is nothing to publish."]
    edit(cache_ttl=60)
    assert run("publish", "--dry-run") == [TO_60, "Nothing was published: this was a dry run."]
    said = run("publish", "--note", "from the shell")
    latest = store.latest()
    assert latest is not None and said == [TO_60, f"Published revision {latest.number}."]
    assert (latest.author, latest.note, latest.editors) == ("command line", "from the shell", ["olga"])


def test_publish_minds_the_checks() -> None:
    Provider.objects.filter(name="box").update(free=False)
    store.save("olga")
    with pytest.raises(CommandError, match="with --yes the warnings are accepted"):
        run("publish")
    assert "warning: route small: box/m has no price; its calls are unpriced" in run("publish", "--yes")
    Provider.objects.filter(name="box").update(enabled=False)
    store.save("olga")
    with pytest.raises(CommandError, match="route small has no target that is on"):
        run("publish", "--yes")


def test_publish_sets_a_time_and_takes_it_back() -> None:
    edit(cache_ttl=60)
    due = timezone.now().replace(microsecond=0) + timedelta(hours=1)
    said = run("publish", "--at", due.isoformat())
    assert said[-1] == f"Goes live by itself at {due:%Y-%m-%d %H:%M:%S} UTC; `qlite publish --cancel` takes it back."
    assert Publication.objects.get().due == due
    assert run("publish", "--cancel") == [
        f"Cancelled what was to go live at {due:%Y-%m-%d %H:%M:%S} UTC. Its changes stay in the draft."
    ]
    for at, why in (("soon", "is not a time"), ("2020-01-01", "that time has passed")):
        with pytest.raises(CommandError, match=why):
            run("publish", "--at", at)
    with pytest.raises(CommandError, match="no publication waits"):
        run("publish", "--cancel")


def test_rollback_goes_back_one_revision_or_to_any(first: Revision) -> None:
    with pytest.raises(CommandError, match="there is no earlier revision"):
        run("rollback")
    for ttl in (1, 2):
        edit(cache_ttl=ttl)
        run("publish")
    edit(description="lost")
    dry = run("rollback", "--dry-run")
    assert dry == [
        "route small: cache_ttl 2 -> 1",
        "lost, not published yet: route small: description empty -> lost",
        "Nothing was changed: this was a dry run.",
    ]
    said = run("rollback")
    latest = store.latest()
    assert latest is not None and said[-1].endswith(f". Revision {latest.number} serves.")
    assert (Route.objects.get().cache_ttl, Route.objects.get().description) == (1, "")
    run("rollback", str(first.number))
    assert Route.objects.get().cache_ttl is None
    with pytest.raises(CommandError, match="there is no revision 999"):
        run("rollback", "999")


def test_import_keeps_a_draft_in_review_mode(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text("routes: [{name: other, targets: [{provider: stub}]}]")
    assert run("import", str(file)) == [
        "route other added: stub/(as asked)",
        "Kept in the draft, which does not serve yet: 1 unpublished changes. See `qlite publish`.",
    ]
    assert (Revision.objects.count(), store.editors()) == (1, ["command line"])


def test_import_reads_the_environment_of_older_gateways(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.ROUTING_REVIEW = False
    monkeypatch.setenv("MODEL_PROVIDER_MAP", " small=stub, local-*=box,")
    monkeypatch.setenv("LLM_PROVIDER", "stub")
    lines = [
        "route local-* added: box/(as asked)",
        "route small: target box/m removed",
        "route small: target stub/(as asked) added",
        "route stub/* added: stub/*",
    ]
    assert run("import", "--env") == [*lines, "Nothing was changed: --yes applies it."]
    assert run("import", "--env", "--yes")[:-1] == lines
    assert {route.name: route.default for route in Route.objects.all()} == {
        "local-*": False,
        "small": False,
        "stub/*": True,
    }
    monkeypatch.setenv("LLM_PROVIDER", "box")  # and there is one default route only
    run("import", "--env", "--yes")
    assert [route.name for route in Route.objects.filter(default=True)] == ["box/*"]


def test_import_makes_the_providers_that_older_gateways_had_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for model in (Route, Provider):
        model.objects.all().delete()
    store.publish("setup")
    monkeypatch.setenv("MODEL_PROVIDER_MAP", "gpt-4=ollama,local-*=stub")
    monkeypatch.delenv("LLM_PROVIDER", raising=False)
    monkeypatch.delenv("OLLAMA_BASE_URL", raising=False)
    assert run("import", "--env") == [
        "provider ollama: http://localhost:11434/v1 is on a private network; that is now allowed",
        "provider ollama added: openai-compatible at http://localhost:11434/v1",
        "provider stub added: stub",
        "route gpt-4 added: ollama/(as asked)",
        "route local-* added: stub/(as asked)",
        "Nothing was changed: --yes applies it.",
    ]
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://10.0.0.7:11434")
    assert "provider ollama added: openai-compatible at http://10.0.0.7:11434/v1" in run("import", "--env", "--yes")
    box = Provider.objects.get(name="ollama")
    assert (box.free, box.has_stored_credential) == (True, False)


@pytest.mark.parametrize(
    ("mapping", "default", "why"),
    [
        ("", "", "neither MODEL_PROVIDER_MAP nor LLM_PROVIDER is set"),
        ("gpt-4", "", "'gpt-4' is not of the form MODEL=PROVIDER"),
        ("a=stub,a=box", "", "has 'a' twice"),
        ("a=nobody", "", "no provider is called 'nobody'; there are: box, stub"),
        ("", "nobody", "LLM_PROVIDER: no provider is called 'nobody'"),
        ("a*b*=stub", "", "more than one"),
    ],
)
def test_import_refuses_an_environment_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, mapping: str, default: str, why: str
) -> None:
    monkeypatch.setenv("MODEL_PROVIDER_MAP", mapping)
    monkeypatch.setenv("LLM_PROVIDER", default)
    with pytest.raises(CommandError, match=why.replace("*", r"\*")):
        run("import", "--env", "--yes")


def test_import_wants_a_file_or_the_environment(tmp_path: Path) -> None:
    for words in ((), ("file.yaml", "--env")):
        with pytest.raises(CommandError, match="name a file, or say --env"):
            run("import", *words)


def three_revisions() -> None:
    for ttl in (60, 120):
        edit(cache_ttl=ttl)
        run("publish", "--yes")


def test_rollback_wants_a_second_person_for_what_is_older_than_the_last(first: Revision, settings: Any) -> None:
    three_revisions()
    settings.ROUTING_APPROVAL = True
    said = run("rollback", str(first.number))
    assert "A second person has to publish it" in said[-1] and "1 unpublished changes" in said[-1]
    assert Revision.objects.count() == 3 and store.editors() == ["command line"]
    with pytest.raises(CommandError, match="somebody else has to publish it"):
        run("publish", "--yes")
    said = run("rollback")  # the last publication alone, for an emergency
    assert said[-1].endswith(f"Revision {first.number + 3} serves.")
    assert Route.objects.get().cache_ttl == 60


def test_rollback_says_loudly_that_nobody_approved(first: Revision, settings: Any) -> None:
    three_revisions()
    settings.ROUTING_APPROVAL = True
    err = StringIO()
    call_command("rollback", str(first.number), "--without-approval", stdout=StringIO(), stderr=err)
    assert "WITHOUT the second person" in err.getvalue()
    assert Route.objects.get().cache_ttl is None and Revision.objects.count() == 4


def test_rollback_takes_no_credential_to_another_host_unless_it_is_said(first: Revision) -> None:
    box = Provider.objects.get(name="box")
    box.credential, box.base_url = "sk-for-the-new-host", "https://new.example/v1"
    Provider.objects.filter(name="box").update(credential="sk-for-the-old-host")
    store.publish("olga", "it has a credential")
    box.save()
    store.publish("olga", "it moved")
    with pytest.raises(CommandError, match=r"stored credential of box was entered for another.*--move-credentials"):
        run("rollback")
    assert Provider.objects.get(name="box").base_url == "https://new.example/v1"
    run("rollback", "--move-credentials")
    assert Provider.objects.get(name="box").base_url == "https://llm.example/v1"
