from pathlib import Path
from typing import Any

import pytest

from accounts import pricelists, prices
from accounts.prices import TOKENS_IN, TOKENS_OUT, UNITS, Book, Charge, Price, Usage, cost_nano


def price(id: int = 1, *, at: float = 0.0, of: tuple[str, str, str] = ("", "", "m"), **amounts: int) -> Price:
    return Price(id, *of, effective_from=at, nano_per_million=amounts)


@pytest.mark.parametrize(("tokens", "cost"), [(1, 0), (2, 1), (3, 2), (5, 2), (7, 4)])
def test_it_rounds_halves_to_even_and_only_once(tokens: int, cost: int) -> None:
    assert cost_nano(Usage(input=tokens), price(input=500_000)) == cost
    halves = Usage(input=tokens, output=tokens)
    assert cost_nano(halves, price(input=500_000, output=500_000)) == tokens


def test_it_prices_each_class_as_what_it_is() -> None:
    # gpt-4o: 2.50 in, 1.25 cached, 10.00 out, per million tokens.
    gpt = price(input=2_500_000_000, cached_input=1_250_000_000, output=10_000_000_000)
    assert cost_nano(Usage(input=1000, cached_input=2000, output=300, reasoning=50), gpt) == 8_500_000


def test_it_refuses_floats_and_negative_counts() -> None:
    wrong: Any = 1.0
    with pytest.raises(TypeError):
        cost_nano(Usage(input=wrong), price(input=1))
    with pytest.raises(ValueError, match="below zero"):
        cost_nano(Usage(input=-1, output=5), price(input=1, output=1))


def test_it_finds_the_most_specific_price() -> None:
    book = Book(
        [
            price(1, of=("", "", "*")),
            price(2, of=("", "", "gpt-*")),
            price(3, of=("", "", "gpt-4o*")),
            price(4, of=("", "", "gpt-4o")),
            price(5, of=("", "openai", "*")),
            price(6, of=("", "openai", "gpt-4o")),
            price(7, of=("mine", "", "gpt-*")),
        ]
    )
    found = {
        asked: getattr(book.find(*asked, 1.0), "id", None)
        for asked in [
            ("other", "groq", "llama"),
            ("other", "groq", "gpt-3"),
            ("other", "groq", "gpt-4o-mini"),
            ("other", "groq", "gpt-4o"),
            ("other", "openai", "gpt-3"),
            ("other", "openai", "gpt-4o"),
            ("mine", "openai", "gpt-4o"),
            ("mine", "openai", "o3"),
        ]
    }
    assert list(found.values()) == [1, 2, 3, 4, 5, 6, 7, 5]
    assert Book().find("mine", "openai", "gpt-4o", 1.0) is None


def test_it_takes_the_version_in_force_at_the_time() -> None:
    book = Book([price(2, at=200.0), price(1, at=100.0), price(3, at=300.0, of=("", "openai", "m"))])
    asked = [(book.find("p", "openai", "m", at), at) for at in (350.0, 99.9, 100.0, 199.9, 200.0, 300.0, 299.0)]
    assert [found.id if found else None for found, _ in asked] == [3, None, 1, 1, 2, 3, 2]


def test_it_forgets_no_price_when_many_models_are_asked_for() -> None:
    book = Book([price(1, of=("", "", "a*"))])
    for number in range(2 * prices.REMEMBERED):
        assert (book.find("p", "k", f"a{number}", 1.0) is None) is False
        assert book.find("p", "k", f"b{number}", 1.0) is None


def test_it_never_calls_a_model_without_price_free() -> None:
    book = Book([price(9, of=("", "", "m"), input=1_000_000)])
    assert book.charge("p", "k", "m", Usage(input=3), at=1.0) == Charge(9, "priced", 3)
    assert book.charge("p", "k", "other", Usage(input=3), at=1.0) == Charge(None, "unpriced", 0)
    assert book.charge("p", "k", "other", Usage(input=3), at=1.0, free=True) == Charge(None, "free", 0)
    # It has no price for output, so an answer with output is not priced by half.
    assert book.charge("p", "k", "m", Usage(input=3, output=1), at=1.0) == Charge(None, "unpriced", 0)


def test_it_falls_back_to_the_class_next_of_kin() -> None:
    five_minutes = price(input=3_000_000, cache_write=3_750_000, output=15_000_000)
    assert cost_nano(Usage(cache_write_1h=4), five_minutes) == 15
    plain = price(input=3_000_000, output=15_000_000)
    assert cost_nano(Usage(cache_write=1, cache_write_1h=1, image_input=1, image_output=1), plain) == 24


@pytest.mark.parametrize("kind", ["audio", "image"])
def test_sound_and_pictures_from_the_cache_have_a_price_of_their_own(kind: str) -> None:
    usage, amounts = Usage(**{f"cached_{kind}": 10, f"{kind}_input": 1}), {"input": 3_000_000}
    assert usage.tokens_in == 11 and usage.tokens_cached == 10
    assert cost_nano(usage, price(**amounts)) == 33
    amounts[f"{kind}_input"] = 40_000_000
    assert cost_nano(usage, price(**amounts)) == 440
    amounts["cached_input"] = 2_000_000
    assert cost_nano(usage, price(**amounts)) == 60
    amounts[f"cached_{kind}"] = 5_000_000
    assert cost_nano(usage, price(**amounts)) == 90


@pytest.mark.parametrize("unit", ["seconds", "searches"])
def test_it_leaves_what_only_has_a_price_of_its_own_unpriced(unit: str) -> None:
    of, usage = ("", "", "m"), Usage(input=3, **{unit: 2})
    assert Book([price(1, of=of, input=1_000_000)]).charge("p", "k", "m", usage, at=1.0).status == "unpriced"
    both = Book([price(1, of=of, input=1_000_000, **{unit: 5_000_000})])
    assert both.charge("p", "k", "m", usage, at=1.0) == Charge(1, "priced", 13)
    assert both.charge("p", "k", "m", Usage(input=3, requests=1), at=1.0) == Charge(1, "priced", 3)
    assert both.charge("p", "k", "m", Usage(requests=1), at=1.0).status == "unpriced"
    assert both.charge("p", "k", "m", Usage(), at=1.0) == Charge(1, "priced", 0)


def test_it_counts_tokens_by_direction() -> None:
    usage = Usage(**{unit: 1 << place for place, unit in enumerate(UNITS)})
    whole = {"requests", "seconds", "searches", "characters"}
    assert {*TOKENS_IN}.isdisjoint(TOKENS_OUT) and {*TOKENS_IN, *TOKENS_OUT} == {*UNITS} - whole
    assert usage.tokens_in == sum(1 << UNITS.index(unit) for unit in TOKENS_IN)
    assert usage.tokens_out == sum(1 << UNITS.index(unit) for unit in TOKENS_OUT)
    assert Usage(input=3, requests=1).as_dict() == {"input": 3, "requests": 1}


def test_it_ships_prices_that_can_be_read_exactly() -> None:
    shipped = pricelists.read((Path(prices.__file__).parent / "prices.json").read_text())
    keys = [(*offer.key, offer.effective_from) for offer in shipped.offers]
    assert len(set(keys)) == len(keys) > 900
    assert "genai-prices 0.2.3" in shipped.source
    assert {offer.kind for offer in shipped.offers} == {"openai", "anthropic", "gemini", "groq", "azure-openai"}
    for offer in shipped.offers:
        assert offer.amounts.get("input", 0) >= offer.amounts.get("cached_input", 0), offer
        Price(1, "", *offer.key, 0.0, offer.amounts, offer.tiers, offer.services).step(Usage(), "batch")


def test_what_finance_has_set_wins_over_any_list() -> None:
    def listed(id: int, of: tuple[str, str, str], at: float = 0.0) -> Price:
        return Price(id, *of, effective_from=at, nano_per_million={"input": 1}, own=False)

    book = Book(
        [
            listed(1, ("", "openai", "gpt-4o-mini")),
            listed(2, ("", "openai", "o3")),
            listed(3, ("", "openai", "gpt-4o*")),
            price(4, of=("", "openai", "gpt-4o*"), at=100.0),
            price(5, of=("", "", "o3"), at=200.0),
            price(6, of=("", "", "*")),
        ]
    )
    asked = [
        ("gpt-4o-mini", 99.0),
        ("gpt-4o-mini", 100.0),
        ("gpt-4o", 1.0),
        ("o3", 199.0),
        ("o3", 200.0),
        ("other", 1.0),
    ]
    found = [book.find("p", "openai", model, at) for model, at in (*asked, *asked[::-1])]
    ids = [each.id if each else None for each in found]
    assert ids == [1, 4, 3, 2, 5, 6, 6, 5, 2, 3, 4, 1]
