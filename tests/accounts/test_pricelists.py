"""Price lists of others: read exactly, compared, and never over what finance has set."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts import pricelists
from accounts.pricelists import additions, own
from accounts.pricelists.compare import CHANGED, IGNORED, NEW, SAME, Version, compare
from accounts.pricelists.offers import BEGINNING, List, NoAmount, NotAList, Offer, per_million, usable
from accounts.pricelists.words import line
from accounts.prices import UNITS
from accounts.rates import Service, Tier

USD = 10**9
NOW = datetime(2026, 11, 20, tzinfo=UTC)
GENAI = [
    {
        "id": "anthropic",
        "models": [
            {
                "id": "claude-x",
                "match": {"or": [{"starts_with": "claude-x"}, {"equals": "claude-x-1"}, {"contains": "y"}]},
                "prices": [
                    {
                        "prices": {
                            "input_mtok": {"base": 3, "tiers": [{"start": 200000, "price": 6}]},
                            "cache_read_mtok": 0.3,
                            "cache_write_mtok": 3.75,
                            "cache_write_1h_mtok": 6,
                            "output_mtok": 15,
                            "web_searches_kcount": 10,
                            "input_video_mtok": 9,
                        }
                    },
                    {"constraint": {"start_date": "2026-03-13"}, "prices": {"input_mtok": 2, "output_mtok": 10}},
                ],
                "price_variants": [
                    {"when": {"service_tier": "default"}, "prices": {}},
                    {
                        "when": {"processing": "batch"},
                        "prices": {"input_mtok": 1, "output_mtok": 5},
                        "constraint": {"start_date": "2026-10-14"},
                    },
                ],
            },
            {"id": "only-by-what-it-contains", "match": {"contains": "z"}, "prices": {"input_mtok": 1e-7}},
            {"id": "nothing", "match": {"equals": "nothing"}, "prices": {"input_video_mtok": 1}},
            {"id": "tiny", "match": {"equals": "tiny"}, "prices": {"input_mtok": 0.0000000005}},
        ],
    },
    {
        "id": "openai",
        "models": [
            {"id": "gpt-9", "match": {"regex": "^gpt-9\\-\\d{4}-\\d{2}-\\d{2}$"}, "prices": {"input_mtok": 1}},
            {
                "id": "gpt-heard",
                "match": {},
                "prices": {"input_mtok": 4, "cache_audio_read_mtok": 0.4, "cache_image_read_mtok": 0.6},
            },
        ],
    },
    {"id": "somebody", "models": [{"id": "else", "match": {"equals": "else"}, "prices": {"input_mtok": 1}}]},
]
LITELLM = """{
  "sample_spec": {"litellm_provider": "openai", "input_cost_per_token": 1},
  "gpt-9": {
    "litellm_provider": "openai", "mode": "chat",
    "input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05,
    "cache_read_input_token_cost": 1.2500000000000001e-07,
    "input_cost_per_token_above_272k_tokens": 2.5e-06, "input_cost_per_token_batches": 6.25e-07,
    "input_cost_per_token_priority": 2.5e-06, "input_cost_per_token_above_272k_tokens_priority": 5e-06,
    "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.01},
    "max_tokens": 128000, "input_cost_per_token_flex": null
  },
  "gemini/gemini-9": {"litellm_provider": "gemini", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06},
  "gpt-heard": {"litellm_provider": "openai", "input_cost_per_token": 4e-06, "input_cost_per_audio_token": 3.2e-05,
    "cache_read_input_token_cost": 5e-07, "cache_read_input_audio_token_cost": 4e-07,
    "cache_read_input_image_token_cost": 6e-07},
  "claude-9": {"litellm_provider": "anthropic", "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05,
    "cache_creation_input_token_cost": 3.75e-06, "cache_creation_input_token_cost_above_1hr": 6e-06,
    "cache_creation_input_token_cost_above_200k_tokens": 7.5e-06},
  "whisper": {"litellm_provider": "openai", "input_cost_per_second": 0.0001},
  "dall-e": {"litellm_provider": "openai", "output_cost_per_image": 0.04},
  "tiny": {"litellm_provider": "openai", "input_cost_per_token": 1.5e-16},
  "elsewhere": {"litellm_provider": "bedrock", "input_cost_per_token": 1e-06}
}"""


def offers(prices: List) -> dict[tuple[str, str, str], Offer]:
    return {(*each.key, f"{each.effective_from or BEGINNING:%m-%d}"): each for each in prices.offers}


def test_it_reads_the_data_of_genai_prices() -> None:
    read = pricelists.read(json.dumps(GENAI))
    found = offers(read)
    days = ("01-01", "03-13", "10-14")
    names = ("claude-x", "claude-x*", "claude-x-1")
    assert {key for key in found if key[1].startswith("claude-x")} == {
        ("anthropic", name, day) for name in names for day in days
    }
    first, second, third = (found["anthropic", "claude-x*", day] for day in days)
    assert first.amounts == {
        "input": 3 * USD,
        "cached_input": 300_000_000,
        "cache_write": 3_750_000_000,
        "cache_write_1h": 6 * USD,
        "output": 15 * USD,
        "searches": 10_000 * USD,
    }
    assert (first.tiers, first.services) == ((Tier(200_000, {"input": 6 * USD}),), {})
    assert (second.amounts, second.tiers, second.services) == ({"input": 2 * USD, "output": 10 * USD}, (), {})
    assert third.amounts == second.amounts
    assert third.services == {"batch": Service(amounts={"input": USD, "output": 5 * USD})}
    assert {("openai", "gpt-9", "01-01"), ("openai", "gpt-9-20*", "01-01")} <= found.keys()
    assert not any(key[1] == "else" for key in found)
    heard = found["openai", "gpt-heard", "01-01"].amounts
    assert heard == {"input": 4 * USD, "cached_audio": 400_000_000, "cached_image": 600_000_000}
    # A ten-millionth of a dollar a million is 100 nano-USD; half a nano cannot be kept, and is said.
    assert found["anthropic", "only-by-what-it-contains", "01-01"].amounts == {"input": 100}
    assert len(read.unusable) == 2 and "parts of a nano" in read.unusable[1]


def test_it_reads_the_prices_of_litellm() -> None:
    read = pricelists.read(LITELLM)
    found = {each.key: each for each in read.offers}
    gpt = found["openai", "gpt-9"]
    assert gpt.amounts == {
        "input": 1_250_000_000,
        "cached_input": 125_000_000,  # what the float left behind it is noise
        "output": 10 * USD,
        "searches": 10_000 * USD,
    }
    assert gpt.tiers == (Tier(272_000, {"input": 2_500_000_000}),)
    assert gpt.services == {
        "batch": Service(amounts={"input": 625_000_000}),
        "priority": Service(amounts={"input": 2_500_000_000}, tiers=(Tier(272_000, {"input": 5 * USD}),)),
    }
    assert gpt.effective_from is None
    heard = found["openai", "gpt-heard"].amounts
    assert (heard["cached_input"], heard["cached_audio"], heard["cached_image"]) == (
        500_000_000,
        400_000_000,
        600_000_000,
    )
    assert found["gemini", "gemini-9"].amounts == {"input": USD, "output": 2 * USD}
    claude = found["anthropic", "claude-9"]
    assert (claude.amounts["cache_write"], claude.amounts["cache_write_1h"]) == (3_750_000_000, 6 * USD)
    assert claude.tiers == (Tier(200_000, {"cache_write": 7_500_000_000}),)
    assert found["openai", "whisper"].amounts == {"seconds": 100 * USD}
    assert [sentence.split(":")[0] for sentence in read.unusable] == ["openai dall-e", "openai tiny"]
    assert ("openai", "sample_spec") not in found and ("bedrock", "elsewhere") not in found


@pytest.mark.parametrize("text", ["", "{", "[1]", "[]", '{"a": 1}', "7", '{"prices": [{}]}', "[" * 9999, '{"a": NaN}'])
def test_it_says_what_is_no_list(text: str) -> None:
    with pytest.raises(NotAList):
        pricelists.read(text)


@pytest.mark.parametrize(
    "value", [0.1, True, "NaN", "Infinity", "-1", "1,5", "1e30", "9e999999", None, [], "0.0000000005"]
)
def test_it_takes_no_amount_that_is_none(value: Any) -> None:
    with pytest.raises(NoAmount):
        per_million(value, 1)


amounts = st.dictionaries(st.sampled_from(UNITS), st.integers(0, 10**15), min_size=1)
tiers = st.dictionaries(st.integers(0, 10**7), amounts, max_size=2).map(
    lambda found: tuple(Tier(above, found[above]) for above in sorted(found))
)
services = st.dictionaries(
    st.sampled_from(["batch", "flex"]),
    st.builds(Service, st.integers(0, 5000)) | st.builds(Service, st.just(1000), amounts),
)
models = st.from_regex(r"[abc.-]{1,4}\*?", fullmatch=True)
made = st.builds(Offer, st.just("openai"), models, st.just(BEGINNING), amounts, tiers, services).filter(usable)


@given(st.lists(made, unique_by=lambda offer: offer.model))
def test_our_own_form_says_everything(listed: list[Offer]) -> None:
    prices = List("mine", "me", tuple(listed))
    assert pricelists.read(own.write(prices)) == prices


NAMES = ["gpt*x", "", "x" * 201, "a\0b", "a\nb", "\ud800"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_the_price_book_cannot_hold_is_left_out_and_said(name: str) -> None:
    priced = {"litellm_provider": "openai", "input_cost_per_token": 1, "output_cost_per_token": 1}
    read = pricelists.read(json.dumps({name: priced, "fine": priced}))
    assert ([each.model for each in read.offers], len(read.unusable)) == (["fine"], 1)
    models = [{"id": each, "match": {}, "prices": {"input_mtok": 1}} for each in (name, "fine")]
    read = pricelists.read(json.dumps([{"id": "openai", "models": models}]))
    assert ([each.model for each in read.offers], len(read.unusable)) == (["fine"], 1)
    row = {"kind": "openai", "model": name, "effective_from": "2026-01-01T00:00:00+00:00", "input": "1"}
    with pytest.raises(NotAList):
        pricelists.read(json.dumps({"name": "mine", "source": "me", "prices": [row]}))


def test_a_list_in_another_currency_is_refused() -> None:
    row = {"kind": "openai", "model": "m", "effective_from": "2026-01-01T00:00:00+00:00", "input": "1"}
    with pytest.raises(NotAList, match="EUR"):
        pricelists.read(json.dumps({"name": "n", "source": "s", "unit": "EUR per million units", "prices": [row]}))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(JUNK, st.data())
def test_whatever_stands_in_a_list_is_read_or_refused(junk: Any, data: st.DataObject) -> None:
    own_row = {"kind": "openai", "model": "m", "effective_from": "2026-01-01T00:00:00+00:00", "input": "1"}
    for document in (GENAI, json.loads(LITELLM), {"name": "n", "source": "s", "prices": [own_row]}):
        spoilt = json.loads(json.dumps(document))
        place: Any = spoilt
        while isinstance(place, dict | list) and place:
            key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            deeper = place[key]
            if not (isinstance(deeper, dict | list) and deeper and data.draw(st.booleans())):
                place[key] = junk
                break
            place = deeper
        try:
            pricelists.read(json.dumps(spoilt))
        except NotAList as refused:
            assert str(refused)


def offer(model: str = "m", since: datetime | None = BEGINNING, **amounts: int) -> Offer:
    return Offer("openai", model, since, amounts or {"input": 5})


def version(
    model: str = "m", since: datetime = BEGINNING, *, own: bool = False, kind: str = "openai", **amounts: int
) -> Version:
    return Version(kind, model, since, own, amounts or {"input": 5})


def statuses(listed: list[Offer], there: list[Version]) -> list[tuple[str, str]]:
    return [(each.status, f"{each.effective_from:%Y-%m-%d}") for each in compare(listed, there, now=NOW)]


def test_what_is_not_there_is_new_with_all_its_versions() -> None:
    assert statuses([offer(), offer(since=NOW - timedelta(days=9), input=6)], []) == [
        (NEW, "2024-01-01"),
        (NEW, "2026-11-11"),
    ]
    assert statuses([offer(since=None)], []) == [(NEW, "2024-01-01")]


def test_what_costs_the_same_is_unchanged() -> None:
    assert statuses([offer()], [version()]) == [(SAME, "2024-01-01")]
    assert statuses([offer(since=None)], [version(since=NOW)]) == [(SAME, "2026-11-20")]


def test_what_costs_something_else_changes_from_today() -> None:
    (change,) = compare([offer(input=6, output=9)], [version()], now=NOW)
    assert (change.status, change.effective_from) == (CHANGED, NOW)
    assert (
        line(change)
        == "changed   openai/m from 2026-11-20: input 0.000000005 -> 0.000000006; output none -> 0.000000009"
    )


def test_a_change_with_a_later_date_takes_effect_then() -> None:
    later = NOW + timedelta(days=11)
    assert statuses([offer(), offer(since=later, input=6)], [version()]) == [(CHANGED, "2026-12-01")]


def test_what_was_planned_already_is_not_planned_again() -> None:
    later = NOW + timedelta(days=11)
    there = [version(), version(since=later, input=6)]
    assert statuses([offer(), offer(since=later, input=6)], there) == [(SAME, "2026-12-01")]


@pytest.mark.parametrize(
    "mine",
    [
        version(own=True, input=1),
        version("m*", own=True),
        version("m", kind="", own=True),
        version("m", NOW + timedelta(days=99), own=True),
    ],
)
def test_what_finance_has_set_stays(mine: Version) -> None:
    (change,) = compare([offer(input=6)], [version(), mine], now=NOW)
    assert (change.status, change.why) == (IGNORED, "finance set its own")


def test_finances_price_for_everything_else_hides_no_list() -> None:
    assert statuses([offer()], [version("*", own=True)]) == [(NEW, "2024-01-01")]


def test_the_shipped_list_can_be_written_as_it_is() -> None:
    text = (Path(pricelists.__file__).parent.parent / "prices.json").read_text()
    assert own.write(pricelists.read(text)) == text
    assert own.write(additions.added(additions.completed(pricelists.read(text)))) == text


def test_speech_without_reported_tokens_gets_a_price_beside_that_of_its_tokens() -> None:
    told = Offer("openai", "gpt-4o-mini-tts", BEGINNING, {"input": 600_000_000, "characters": 1}, note="Theirs.")
    mute = replace(told, amounts={"input": 600_000_000})
    known, given = (additions.completed(List("x", "y", (each,))).offers for each in (told, mute))
    assert told in known
    (made,) = given
    assert made.amounts == {"input": 600_000_000, "characters": 15_000_000_000}
    assert made.note.startswith("Theirs. Without reported tokens")


def test_another_list_does_not_take_that_price_away() -> None:
    theirs = {"input_cost_per_token": 6e-07, "output_cost_per_token": 1.2e-05, "mode": "audio_speech"}
    read = pricelists.read(json.dumps({"gpt-4o-mini-tts": {"litellm_provider": "openai", **theirs}}))
    (told,) = read.offers
    assert told.amounts["characters"] == 15 * USD
