import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.keys import admit, well_formed
from accounts.models import Adjustment, ApiKey, DailyTotal, Price, Team
from accounts.store.keys import load_keys
from accounts.store.ledger import save_entries
from tests.accounts.making import journal, raw, settled

pytestmark = pytest.mark.django_db
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


def run(*words: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command(*words, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.fixture(autouse=True)
def journals(tmp_path: Path, settings: object) -> Path:
    settings.JOURNAL_DIR = tmp_path / "journal"  # type: ignore[attr-defined]
    return tmp_path / "journal"


def test_it_makes_a_key_and_prints_it_alone_when_asked_to() -> None:
    Team.objects.create(name="red")
    out, said = run("createkey", "--team", "red", "--name", "bot", "--models", "gpt-*, o3", "--quiet")
    assert said.strip() == "No route serves o3: as long as there is none, the key cannot use it."
    text = out.strip()
    assert well_formed(text)
    assert admit(load_keys(), text, now=0.0).models == ("gpt-*", "o3")


def test_it_says_that_it_made_the_team() -> None:
    out, said = run("createkey", "--team", "red", "--name", "bot", "--quiet")
    assert well_formed(out.strip())
    assert said.strip() == "There was no team red: made it."
    _, said = run("createkey", "--team", "red", "--name", "other", "--expires", "2999-01-31")
    assert said == ""
    assert Team.objects.count() == 1
    newest = ApiKey.objects.order_by("id").last()
    assert newest is not None
    assert newest.expires_at is not None
    assert newest.expires_at.isoformat() == "2999-01-31T00:00:00+00:00"


def test_it_says_that_another_valid_key_is_called_the_same() -> None:
    run("createkey", "--team", "red", "--name", "bot")
    run("createkey", "--team", "blue", "--name", "bot")
    first = ApiKey.objects.get(team__name="red")
    out, said = run("createkey", "--team", "red", "--name", " bot ", "--quiet")
    assert well_formed(out.strip())
    assert said.strip() == f"Team red has a key bot already, {first.shown}, which stays valid."
    ApiKey.objects.filter(team__name="red").update(disabled=True)
    assert run("createkey", "--team", "red", "--name", "bot", "--quiet")[1] == ""


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[31m", "x" * 201])
def test_it_refuses_a_name_that_is_no_line_of_text(name: str) -> None:
    with pytest.raises(CommandError, match="--name has to be a line of text, of 200 characters at most"):
        run("createkey", "--team", "red", "--name", name)
    assert not Team.objects.exists()


@pytest.mark.parametrize("text", ["2026-13-01", "yesterday", "2026-11-01T12:00"])
def test_it_says_what_a_day_looks_like(text: str) -> None:
    with pytest.raises(CommandError, match=f"'{text}' is no date such as 2027-01-31"):
        run("ledger", "rebuild", "--day", text)


def test_a_team_made_by_mistake_is_noticed() -> None:
    for name in ("red", "reed", "blue"):
        Team.objects.create(name=name)
    _, said = run("createkey", "--team", "redd", "--name", "bot")
    assert said.strip() == "There was no team redd: made it. Did you mean red or reed?"


@pytest.mark.parametrize(
    "wrong",
    [
        ["--team", "no slug", "--name", "n"],
        ["--team", "red", "--name", "n", "--models", "a*b*"],
        ["--team", "red", "--name", "n", "--expires", "tomorrow"],
        ["--team", "red", "--name", "n", "--expires", "2020-01-31"],
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


def test_it_shows_what_a_price_list_would_change_before_it_changes_it(tmp_path: Path) -> None:
    Price.objects.create(kind="openai", model="gpt-9", effective_from=JANUARY, input=1, origin="litellm")
    Price.objects.create(kind="openai", model="mine", effective_from=JANUARY, input=1)
    rows = {
        "gpt-9": {"litellm_provider": "openai", "input_cost_per_token": 2e-06},
        "mine": {"litellm_provider": "openai", "input_cost_per_token": 2e-06},
        "gpt-10": {"litellm_provider": "openai", "input_cost_per_token": 3e-06},
        "dall-e": {"litellm_provider": "openai", "output_cost_per_image": 0.04},
    }
    (tmp_path / "list.json").write_text(json.dumps(rows))
    out, _ = run("prices", "sync", "--file", str(tmp_path / "list.json"))
    for words in (
        "new       openai/gpt-10 from 2024-01-01: input 3",
        "changed   openai/gpt-9 from",
        "input 0.000000001 -> 2",
        "ignored   openai/mine from 2026-01-01: finance set its own",
        "left out  openai dall-e",
        "1 new, 1 changed, 0 unchanged, 1 ignored.",
        "Nothing was changed.",
    ):
        assert words in out
    assert Price.objects.count() == 2
    assert "Added 2 versions." in run("prices", "sync", "--file", str(tmp_path / "list.json"), "--apply")[0]
    again, _ = run("prices", "sync", "--file", str(tmp_path / "list.json"), "--apply")
    assert "0 new, 0 changed, 2 unchanged, 1 ignored." in again and "Added 0 versions." in again
    assert Price.objects.filter(origin="litellm").count() == 3
    assert Price.objects.get(model="mine").input == 1


def test_it_compares_with_the_shipped_list_and_says_what_is_no_list(tmp_path: Path) -> None:
    assert "genai-prices 0.2.3" in run("prices", "sync")[0]
    (tmp_path / "no.json").write_text("{}")
    for file in ("no.json", "none.json"):
        with pytest.raises(CommandError):
            run("prices", "sync", "--file", str(tmp_path / file))


def test_it_writes_a_list_in_our_own_form(tmp_path: Path) -> None:
    model = {"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": 0.15}}
    (tmp_path / "data.json").write_text(json.dumps([{"id": "openai", "models": [model]}]))
    written, _ = run("prices", "convert", "--file", str(tmp_path / "data.json"))
    assert '{"kind": "openai", "model": "m", "effective_from": "2024-01-01T00:00:00+00:00", "input": "0.15"}' in written
    assert '"model": "whisper-1"' in written


def test_a_price_list_waits_for_approval_where_prices_do(tmp_path: Path, settings: Any) -> None:
    settings.PRICE_APPROVAL = True
    (tmp_path / "list.json").write_text('{"x": {"litellm_provider": "openai", "input_cost_per_token": 2e-06}}')
    run("prices", "sync", "--file", str(tmp_path / "list.json"), "--apply")
    assert Price.objects.get().approved_at is None
