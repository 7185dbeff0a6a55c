"""What a call may cost at most, on each surface: never less than it does where a maximum is given."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.ledger.entry import Entry
from accounts.prices import Book, Price, Usage
from accounts.rates import Service
from proxy import estimate, tokens
from proxy.call import Call
from proxy.dialects.base import Asked
from proxy.errors import ModelUnpriced
from proxy.native import operations
from proxy.native.passing import Passing
from routing.values import Limits, Match, Provider, Route, Target
from tests.proxy.harness import GRANT

IN, OUT = 1_000, 2_000  # nano-USD a token
PRICE = Price(1, "", "", "m", 0.0, {"input": IN * 10**6, "output": OUT * 10**6})
NOW = 1_800_000_000.0


def target(kind: str = "openai", model: str = "m", *, free: bool = False) -> Target:
    return Target("m", Provider(kind, kind, free=free), model)


def call(body: dict[str, Any], *targets: Target, passing: Passing | None = None, retries: int = 0) -> Call:
    raw = orjson.dumps(body)
    model = str(body.get("model", ""))
    entry = Entry("id", "", NOW, "chat", "red", "", "", "k1", "", "m", model, 1, False, prompt_bytes=len(raw))
    made = Call(GRANT, entry, 0.0, passing=passing)
    made.asked = Asked(raw, body, model, False, operation="pass" if passing else "chat")
    made.match = Match(Route("m", targets, retries=retries), "m", targets)
    return made


def most(body: dict[str, Any], *targets: Target, prices: tuple[Price, ...] = (PRICE,), **options: Any) -> int:
    made = call(body, *(targets or (target(),)), **options)
    return estimate.most(Book(prices), made, made.match.targets, NOW)[1]


def size(body: dict[str, Any]) -> int:
    return len(orjson.dumps(body))


@pytest.mark.parametrize(
    ("said", "output"),
    [
        ({"max_tokens": 100}, 100),
        ({"max_completion_tokens": 100, "max_tokens": 50}, 100),
        ({"max_output_tokens": 70}, 70),
        ({"generationConfig": {"maxOutputTokens": 60, "candidateCount": 2}}, 120),
        ({"max_tokens": 10, "n": 3}, 30),
        ({"max_tokens": 10, "best_of": 4, "n": 2}, 40),
        ({"max_tokens": 10, "prompt": ["a", "b", "c"]}, 30),
        ({"max_tokens": 10, "prompt": [1, 2, 3]}, 10),
        ({"max_tokens": 1e5, "n": "3"}, 300_000),  # servers that are lax take these for numbers
        ({"max_tokens": "nan", "n": True}, estimate.DEFAULT_OUTPUT),
        ({"generationConfig": {}, "generation_config": {"maxOutputTokens": 60, "candidateCount": 2}}, 120),
        ({}, estimate.DEFAULT_OUTPUT),
        ({"max_tokens": 10**9}, estimate.MOST_OUTPUT),
        ({"max_tokens": True, "n": "three"}, estimate.DEFAULT_OUTPUT),
    ],
)
def test_the_answer_is_what_the_caller_allows(said: dict[str, Any], output: int) -> None:
    body = {"model": "m", **said}
    assert most(body) == size(body) * IN + output * OUT


def test_anthropic_s_default_is_larger_since_it_may_think() -> None:
    body = {"model": "m"}
    assert most(body, target("anthropic")) == size(body) * IN + estimate.DEFAULT_OUTPUT_OF["anthropic"] * OUT


def test_the_dearest_target_counts_and_every_further_attempt_its_prompt() -> None:
    dear = Price(2, "", "", "dear", 0.0, {"input": 3 * IN * 10**6, "output": OUT * 10**6})
    body = {"model": "m", "max_tokens": 10}
    prices = (PRICE, dear)
    alone = size(body) * 3 * IN + 10 * OUT
    assert most(body, target(), target(model="dear"), prices=prices) == alone + size(body) * 3 * IN
    assert most(body, target(model="dear"), prices=prices, retries=2) == alone + 2 * size(body) * 3 * IN


def test_the_dearest_class_and_tier_count() -> None:
    price = Price(1, "", "", "m", 0.0, {"input": IN * 10**6, "cache_write": 2 * IN * 10**6, "output": 0})
    body = {"model": "m", "max_tokens": 1, "system": [{"cache_control": {"type": "ephemeral"}}]}
    assert most(body, prices=(price,)) == size(body) * 2 * IN


def test_targets_without_a_price_are_passed_over_and_free_ones_cost_nothing() -> None:
    made = call({"model": "m", "max_tokens": 1}, target(model="unknown"), target())
    targets, _ = estimate.most(Book((PRICE,)), made, made.match.targets, NOW)
    assert [each.model for each in targets] == ["m"]
    with pytest.raises(ModelUnpriced):
        most({"model": "m"}, target(model="unknown"))
    assert most({"model": "m"}, target(free=True)) == 0


def passed(family: str, path: str, method: str = "POST") -> Passing:
    return Passing(
        kinds=frozenset({"openai"}), operation=operations.find(family, method, path), method=method, path=path
    )


@pytest.mark.parametrize(
    ("path", "body", "prices", "expected"),
    [
        ("chat/completions", {"max_tokens": 5}, {"input": 0, "output": 10**9}, 5_000),
        ("embeddings", {"input": "x"}, {"input": 10**9}, 35_000),
        ("images/generations", {"n": 3}, {"requests": 40_000_000 * 10**6}, 120_000_000),
        ("images/generations", {"n": 1}, {"requests": 10**6}, estimate.FLOOR_NANO),
        ("images/generations", {}, {"input": 0, "image_output": 40_000 * 10**6}, 40_000 * estimate.IMAGE_TOKENS),
        ("audio/speech", {"input": "hi"}, {"input": 0, "audio_output": 10**6}, estimate.FLOOR_NANO),
        ("rerank", {}, {"searches": 2 * 10**7 * 10**6}, 20_000_000),
        ("files", {}, {"input": 0}, estimate.FLOOR_NANO),
    ],
)
def test_each_operation_reserves_in_its_own_units(
    path: str, body: dict[str, Any], prices: dict[str, int], expected: int
) -> None:
    price = Price(1, "", "", "m", 0.0, prices)
    body = {"model": "m", **body}
    if path == "embeddings":
        expected = size(body) * 1_000
    assert most(body, passing=passed("openai", path), prices=(price,)) == expected


def of_batch(family: str, path: str, body: dict[str, Any], kind: str, *prices: Price) -> int:
    made = call(body, target(kind, operations.NAMELESS), passing=passed(family, path))
    made.entry.model_asked = f"POST {path}"  # it names none
    return estimate.most(Book(prices or (PRICE,)), made, made.match.targets, NOW)[1]


ASKED = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
CONFIG = {"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"maxOutputTokens": 100}}
INLINE = {"requests": {"requests": [{"request": CONFIG}, {"request": CONFIG, "metadata": {}}]}}


@pytest.mark.parametrize(
    ("family", "path", "body", "each"),
    [
        ("anthropic", "messages/batches", {"requests": [{"custom_id": str(n), "params": ASKED} for n in "ab"]}, ASKED),
        ("gemini", "models/m:batchGenerateContent", {"batch": {"inputConfig": INLINE}}, CONFIG),
        ("gemini", "models/m:batchGenerateContent", {"batch": {"input_config": INLINE}}, CONFIG),
    ],
)
def test_a_batch_reserves_for_each_of_its_requests(
    family: str, path: str, body: dict[str, Any], each: dict[str, Any]
) -> None:
    cost = 2 * (size(each) * IN + 100 * OUT)
    dear = replace(PRICE, nano_per_million={"input": IN * 10**9, "output": OUT * 10**9})
    assert of_batch(family, path, body, family, dear) == cost * 1000
    half = replace(dear, services={"batch": Service(500)})
    assert of_batch(family, path, body, family, half) == cost * 500
    assert of_batch(family, path, body, family) == max(cost, estimate.FLOOR_NANO)
    with pytest.raises(ModelUnpriced):
        of_batch(family, path, body, family, replace(PRICE, model="other"))


@pytest.mark.parametrize(
    ("family", "path", "body"),
    [
        ("openai", "batches", {"input_file_id": "file-1", "endpoint": "/v1/chat/completions"}),
        ("openai", "batches/", {"input_file_id": "file-1"}),
        ("gemini", "models/m:batchGenerateContent", {"batch": {"inputConfig": {"fileName": "files/1"}}}),
        ("anthropic", "messages/batches", {"requests": "none"}),
    ],
)
def test_a_batch_whose_requests_are_elsewhere_reserves_a_dollar(family: str, path: str, body: dict[str, Any]) -> None:
    assert of_batch(family, path, body, family) == estimate.BATCH_NANO


def test_a_batch_that_is_looked_at_or_cancelled_reserves_as_little_as_before() -> None:
    assert most({}, passing=passed("openai", "batches", "GET")) == 0
    assert of_batch("openai", "batches/b/cancel", {}, "openai") == estimate.FLOOR_NANO


def test_counting_and_looking_reserve_nothing_and_a_session_does() -> None:
    assert most({"model": "m"}, passing=passed("anthropic", "messages/count_tokens")) == 0
    assert most({"model": "m"}, passing=passed("openai", "models", "GET")) == 0
    session = Passing(
        kinds=frozenset(), operation=operations.Operation("realtime"), method="GET", path="realtime", own_api=False
    )
    assert most({"model": "m"}, passing=session) == estimate.SESSION_NANO


def test_pictures_and_sounds_count_less_than_their_letters_and_fetched_ones_more() -> None:
    picture, sound, text = "data:image/png;base64," + "A" * 400_000, "UklGR" + "A" * 80_000, "words " * 10_000
    body = {"model": "m", "messages": [{"content": [{"url": picture}, {"data": sound}, {"text": text}]}]}
    bound = estimate.prompt_bound(call(body, target()))
    assert bound == size(body) - len(picture) - len(sound) + estimate.PICTURE_TOKENS + len(sound) // 8
    for part in ({"image_url": {"url": "https://x.example/1.png"}}, {"file": {"file_data": "https://x.example/1.pdf"}}):
        body = {"messages": [{"content": [part]}]}
        assert estimate.prompt_bound(call(body, target())) >= estimate.PICTURE_TOKENS


@pytest.mark.parametrize(
    "text", ["// a comment\n" + "text " * 20_000, "/9j/" + "text" * 20_000, "SUQz" + "多" * 20_000]
)
@pytest.mark.parametrize("name", ["text", "content", "data"])
def test_text_that_begins_like_a_picture_or_a_sound_is_text(text: str, name: str) -> None:
    if name == "data" and text.startswith("/9j/"):
        return  # there it is what it seems
    body = {"model": "m", "messages": [{"content": [{name: text}]}]}
    assert estimate.prompt_bound(call(body, target())) == size(body)


def test_the_pictures_that_a_form_asks_for_are_counted() -> None:
    fields = "".join(
        f'--x\r\ncontent-disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in (("model", "m"), ("n", 4))
    )
    form = Passing(
        kinds=frozenset({"openai"}),
        operation=operations.find("openai", "POST", "images/edits"),
        method="POST",
        path="images/edits",
        content_type="multipart/form-data; boundary=x",
    )
    made = call({"model": "m"}, target(), passing=form)
    made.asked = form.parse(f"{fields}--x--\r\n".encode())
    price = Price(1, "", "", "m", 0.0, {"requests": 40_000_000 * 10**6})
    assert estimate.most(Book((price,)), made, made.match.targets, NOW)[1] == 160_000_000


@settings(deadline=None)
@given(st.lists(st.text(max_size=300), min_size=1, max_size=8))
def test_bytes_are_never_fewer_than_tokens(texts: list[str]) -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text} for text in texts]}
    assert estimate.prompt_bound(call(body, target())) >= tokens.prompt_tokens(body, "gpt-4o")


def test_the_reservation_is_never_below_the_cost_of_what_it_was_made_for() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}
    charge = Book((PRICE,)).charge("openai", "openai", "m", Usage(input=20, output=30, reasoning=20), at=NOW)
    assert most(body) >= charge.cost_nano > 0


def test_the_price_of_a_request_is_reserved_too() -> None:
    price = Price(1, "", "", "m", 0.0, {"input": 0, "output": 0, "requests": 7 * 10**6})
    assert most({"model": "m"}, prices=(price,)) == 7


def test_where_time_has_a_price_a_call_may_take_as_long_as_its_target_is_waited_for() -> None:
    timed = (Price(1, "openai", "", "m", 0.0, {"input": 0, "output": 0, "seconds": 10**12}),)
    at = Target("m", Provider("openai", "openai", total_timeout=10.0), "m")
    one = most({"model": "m", "max_tokens": 1}, at, prices=timed)
    assert one > 0
    assert (
        most({"model": "m", "max_tokens": 1}, replace(at, limits=Limits(total_timeout=60.0)), prices=timed) == 6 * one
    )
    assert most({"model": "m", "max_tokens": 1}, replace(at, limits=Limits(idle_timeout=60.0)), prices=timed) == one
