import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from accounts.keys import admit, well_formed
from accounts.models import Adjustment, ApiKey, DailyTotal, Price, Team
from accounts.store.keys import load_keys
from accounts.store.ledger import save_entries
from tests.accounts.making import journal, raw, settled

pytestmark = pytest.mark.django_db


def run(*words: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command(*words, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.fixture(autouse=True)
def journals(tmp_path: Path, settings: object) -> Path:
    settings.JOURNAL_DIR = tmp_path / "journal"  # type: ignore[attr-defined]
    return tmp_path / "journal"


def test_it_makes_a_key_and_prints_it_alone_when_asked_to() -> None:
    out, _ = run("createkey", "--team", "red", "--name", "bot", "--models", "gpt-*, o3", "--quiet")
    text = out.strip()
    assert well_formed(text)
    assert admit(load_keys(), text, now=0.0).models == ("gpt-*", "o3")


def test_it_says_that_it_made_the_team() -> None:
    assert "There was no team red: made it." in run("createkey", "--team", "red", "--name", "bot")[0]
    out, _ = run("createkey", "--team", "red", "--name", "bot", "--expires", "2999-01-31")
    assert "made it" not in out
    assert Team.objects.count() == 1
    newest = ApiKey.objects.order_by("id").last()
    assert newest is not None
    assert newest.expires_at is not None
    assert newest.expires_at.isoformat() == "2999-01-31T00:00:00+00:00"


@pytest.mark.parametrize(
    "wrong",
    [
        ["--team", "no slug", "--name", "n"],
        ["--team", "red", "--name", "n", "--models", "a*b*"],
        ["--team", "red", "--name", "n", "--expires", "tomorrow"],
        ["--team", "red"],
    ],
)
def test_it_refuses_a_key_that_makes_no_sense(wrong: list[str]) -> None:
    with pytest.raises(CommandError):
        run("createkey", *wrong)
    assert ApiKey.objects.count() == Team.objects.count() == 0


def test_it_exits_with_nothing_to_say_about_a_sound_ledger(journals: Path) -> None:
    save_entries(raw(settled()))
    with journal(journals) as kept:
        kept.settle(settled())
        out, err = run("ledger", "verify")
    assert "1 requests, 1 attempts, 0 adjustments, 0 quarantined, 1 undrained, 0 open" in out
    assert "sound" in out
    assert err == ""


def test_it_exits_with_1_and_names_what_is_wrong() -> None:
    save_entries(raw(settled()))
    DailyTotal.objects.update(cost_nano=1)
    out, err = StringIO(), StringIO()
    with pytest.raises(SystemExit) as exit:
        call_command("ledger", "verify", stdout=out, stderr=err)
    assert exit.value.code == 1
    assert "cost_nano is 1, its rows make 4500000" in err.getvalue()


def test_it_previews_a_repricing_and_books_it_when_told_to() -> None:
    save_entries(raw(settled(), settled()))
    Price.objects.create(model="*", effective_from="2020-01-01T00:00Z", input=1_000_000_000, output=2_000_000_000)
    period = ("--since", "2025-11-20", "--until", "2025-11-21")
    out, _ = run("ledger", "reprice", *period)
    assert "openai/gpt-4o: 2 requests, -0.006200000 USD" in out
    assert "2 requests looked at, 2 would change by -0.006200000 USD" in out
    assert not Adjustment.objects.exists()
    out, _ = run(
        "ledger", "reprice", *period, "--model", "gpt-*", "--provider", "openai", "--apply", "--reason", "deal"
    )
    assert "Booked 2 adjustments of -0.006200000 USD" in out
    assert {each.reason.split(" (")[0] for each in Adjustment.objects.all()} == {"deal"}
    assert "Booked 0" in run("ledger", "reprice", *period, "--apply")[0]


def test_it_refuses_a_period_that_ends_before_it_begins() -> None:
    with pytest.raises(CommandError, match="ends before"):
        run("ledger", "reprice", "--since", "2025-11-21", "--until", "2025-11-20")


def test_it_exports_one_request_a_line(journals: Path) -> None:
    save_entries(raw(settled(), settled(tags={"text": "two\nlines"})))
    with journal(journals) as kept:
        kept.settle(settled())
        out, _ = run("ledger", "export", "--format", "jsonl")
    rows = [json.loads(line) for line in out.splitlines()]
    assert len({row["id"] for row in rows}) == 3
    assert {row["cost_nano"] for row in rows} == {4_500_000}
    assert run("ledger", "export", "--since", "2025-11-21")[0] == ""
    assert len(run("ledger", "export", "--since", "2025-11-20T12:00Z")[0].splitlines()) == 3
