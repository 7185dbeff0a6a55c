import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.keys import admit
from accounts.models import ApiKey, Membership, Price, Team
from accounts.pricelists.offers import NotAList
from accounts.prices import Usage
from accounts.store.keys import load_keys, make_key, touch_used
from accounts.store.marks import of_keys, of_prices
from accounts.store.pricelists import seed
from accounts.store.prices import NotApproved, approve, load_book

pytestmark = pytest.mark.django_db
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


def team(name: str = "red", **changes: object) -> Team:
    return Team.objects.create(name=name, **changes)


def test_it_loads_what_keys_permit() -> None:
    until = timezone.now() + timedelta(days=1)
    owned = team(cost_centre="r1", owner="lee")
    _, one = make_key(owned, "bot", models=["gpt-*"], expires_at=until, by="root")
    _, two = make_key(owned, "own", owner="ann")
    grant = admit(load_keys(), one.text, now=time.time())
    assert (grant.key_id, grant.label, grant.team, grant.cost_centre, grant.owner) == (
        one.id,
        "bot",
        "red",
        "r1",
        "lee",
    )
    assert (grant.models, grant.expires_at) == (("gpt-*",), until.timestamp())
    assert load_keys()[two.digest].owner == "ann"


def test_it_loads_disabled_keys_as_disabled() -> None:
    row, minted = make_key(team(), "bot")
    row.disable("ops")
    first = row.disabled_at
    row.disable("somebody else")
    row.refresh_from_db()
    assert (row.disabled_by, row.disabled_at) == ("ops", first)
    assert load_keys()[minted.digest].disabled
    Team.objects.update(disabled=True)
    assert load_keys()[minted.digest].team_disabled


def test_it_shows_no_more_of_a_key_than_it_may() -> None:
    row, minted = make_key(team(), "bot")
    assert str(row) == f"bot (sk-ql_{minted.id}…{minted.last4})"


def test_it_notes_the_last_use_and_never_an_earlier_one() -> None:
    row, _ = make_key(team(), "bot")
    before = of_keys()
    touch_used({row.id8: 1_763_640_000.5, "unknown1": 1.0})
    touch_used({row.id8: 1_763_630_000.0})
    row.refresh_from_db()
    assert row.last_used_at == datetime.fromtimestamp(1_763_640_000.5, UTC)
    assert of_keys() == before


def test_it_notices_each_change_and_nothing_else() -> None:
    marks = [(of_keys(), of_prices())]

    def changed() -> bool:
        marks.append((of_keys(), of_prices()))
        return marks[-1] != marks[-2]

    assert not changed()
    owned = team()
    assert changed()
    row, _ = make_key(owned, "bot")
    assert changed()
    row.disable("ops")
    assert changed()
    ApiKey.objects.update(disabled=False, updated_at=timezone.now())
    assert changed()
    price = Price.objects.create(model="m", effective_from=JANUARY, input=1)
    assert changed()
    price.delete()
    assert changed()
    assert not changed()
    row.delete()
    assert changed()
    owned.delete()
    assert changed()


def test_it_notices_a_change_that_was_committed_late() -> None:
    late, early = team("late"), team("early")
    Team.objects.filter(pk=late.pk).update(updated_at=timezone.now() - timedelta(hours=2))
    mark = of_keys()
    Team.objects.filter(pk=late.pk).update(updated_at=timezone.now() - timedelta(hours=1))
    assert early.updated_at > timezone.now() - timedelta(minutes=1)
    assert of_keys() != mark


def test_it_refuses_two_memberships_of_one_person_in_a_team(django_user_model: type) -> None:
    user = django_user_model.objects.create_user("ann")  # type: ignore[attr-defined]
    owned = team()
    Membership.objects.create(team=owned, user=user)
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.create(team=owned, user=user)


def test_it_seeds_prices_once_and_leaves_what_is_there() -> None:
    own = Price.objects.create(
        kind="openai", model="gpt-4o", effective_from=datetime(2024, 1, 1, tzinfo=UTC), input=7, note="ours"
    )
    assert seed() > 200
    assert seed() == 0
    own.refresh_from_db()
    assert (own.input, own.note) == (7, "ours")
    row = Price.objects.filter(kind="openai", model="gpt-4o-mini").earliest("effective_from")
    assert (row.input, row.cached_input, row.output, row.reasoning) == (150_000_000, 75_000_000, 600_000_000, None)
    assert "genai-prices" in row.source and (row.origin, own.origin) == ("genai-prices", "own")


def test_it_prices_with_what_was_seeded() -> None:
    seed()
    book = load_book()
    usage = Usage(input=1000, output=100)
    at = timezone.now().timestamp()
    assert book.charge("openai", "openai", "gpt-4o-mini", usage, at=at).cost_nano == 210_000
    assert book.charge("groq", "groq", "llama-3.1-8b-instant", usage, at=at).cost_nano == 58_000
    assert book.charge("groq", "groq", "gpt-4o-mini", usage, at=at).status == "unpriced"
    assert book.charge("openai", "openai", "ft:gpt-4o-2024-08-06:us:x", usage, at=at).cost_nano == 5_250_000
    # o3 became cheaper on 2025-06-10.
    before, after = (datetime(2025, 6, day, tzinfo=UTC).timestamp() for day in (9, 11))
    assert book.charge("openai", "openai", "o3", usage, at=before).cost_nano == 14_000_000
    assert book.charge("openai", "openai", "o3", usage, at=after).cost_nano == 2_800_000


@pytest.mark.parametrize("amount", ["0.15", '"1,5"', '"NaN"', '"-1"', '"0.0000000001"', "1e-7"])
def test_it_reads_no_amount_as_a_float(tmp_path: Path, amount: str) -> None:
    row = f'{{"kind": "k", "model": "m", "effective_from": "2026-01-01T00:00:00+00:00", "input": {amount}}}'
    (tmp_path / "p.json").write_text(f'{{"name": "n", "source": "s", "prices": [{row}]}}')
    with pytest.raises(NotAList):
        seed(tmp_path / "p.json")
    assert Price.objects.count() == 0


def test_it_prices_with_tiers_as_they_are_stored() -> None:
    tiers = [{"above": 100, "amounts": {"input": 20}}]
    made = Price(
        model="m", effective_from=JANUARY, input=10, output=1, tiers=tiers, services={"batch": {"per_mille": 500}}
    )
    made.full_clean()
    made.save()
    usage, at = Usage(input=10**6), JANUARY.timestamp()
    costs = [load_book().charge("p", "k", "m", usage, at=at, service_tier=tier).cost_nano for tier in ("", "batch")]
    assert costs == [20, 10]
    made.services = {}
    with pytest.raises(ValidationError, match="new version"):
        made.save()
    with pytest.raises(ValidationError, match="no class of units"):
        Price(model="m", effective_from=JANUARY, input=10, tiers=[{"above": 1, "amounts": {"inputs": 1}}]).full_clean()


def test_it_never_edits_a_price() -> None:
    price = Price.objects.create(model="m", effective_from=JANUARY, input=1)
    price.note = "checked"
    price.full_clean()
    price.save()
    price.input = 2
    for step in (price.full_clean, price.save):
        with pytest.raises(ValidationError, match="new version"):
            step()
    assert Price.objects.get().input == 1
    Price.objects.create(model="m", effective_from=JANUARY + timedelta(days=1), input=2)
    usage, book = Usage(input=10**6), load_book()
    costs = [book.charge("p", "k", "m", usage, at=JANUARY.timestamp() + hours * 3600).cost_nano for hours in (0, 24)]
    assert costs == [1, 2]


@pytest.mark.parametrize(
    "wrong", [{"input": None}, {"input": -1}, {"model": "a*b"}, {"model": ""}, {"input": None, "output": 3}]
)
def test_it_refuses_a_price_that_makes_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Price(**{"model": "m", "effective_from": JANUARY, "input": 1, **wrong}).full_clean()


def test_a_price_that_waits_for_approval_is_never_used(settings: Any) -> None:
    settings.PRICE_APPROVAL = True
    usage, at = Usage(input=10**6), (JANUARY + timedelta(days=2)).timestamp()
    former = Price.objects.create(model="m", effective_from=JANUARY, input=1, created_by="ann")
    approve(former, "bob")
    later = Price.objects.create(model="m", effective_from=JANUARY + timedelta(days=1), input=2, created_by="ann")
    before = of_prices()
    assert load_book().charge("p", "k", "m", usage, at=at).cost_nano == 1
    for nobody in ("ann", ""):
        with pytest.raises(NotApproved, match="your own"):
            approve(later, nobody)
    approve(later, "bob")
    assert of_prices() != before
    assert load_book().charge("p", "k", "m", usage, at=at).cost_nano == 2
    later.refresh_from_db()
    assert (later.approved_by, later.approved_at is not None) == ("bob", True)
    with pytest.raises(NotApproved, match="already"):
        approve(later, "carl")


def test_a_price_needs_nobodys_approval_by_default() -> None:
    Price.objects.create(model="m", effective_from=JANUARY, input=1)
    assert load_book().find("p", "k", "m", JANUARY.timestamp()) is not None


def test_shipped_prices_need_nobodys_approval(settings: Any) -> None:
    settings.PRICE_APPROVAL = True
    seed()
    assert not Price.objects.filter(approved_at=None).exists()


def test_a_grant_says_whether_its_team_pays_for_models_with_a_price_only() -> None:
    team = Team.objects.create(name="careful", priced_only=True)
    make_key(team, "k")
    assert [grant.priced_only for grant in load_keys().values()] == [True]
