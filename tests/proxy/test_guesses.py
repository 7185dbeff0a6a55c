"""A-5: wrong keys in great number, and those who share an address with their sender."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.mockserver import MockServer
from proxy.guesses import ADDRESSES, WINDOW_SECONDS, Guesses
from tests.site.test_handler import Client, handled


def test_more_than_a_few_wrong_keys_have_to_wait_for_the_window_to_end() -> None:
    guesses = Guesses(3)
    assert [guesses.wrong("1.2.3.4", 100.0 + each) for each in range(5)] == [0, 0, 0, 7, 6]
    assert guesses.wrong("1.2.3.5", 104.0) == 0
    assert guesses.wrong("1.2.3.4", 100.0 + WINDOW_SECONDS) == 0


def test_it_can_be_off() -> None:
    guesses = Guesses(0)
    assert not any(guesses.wrong("1.2.3.4", 1.0) for _ in range(100))


def test_a_network_of_ipv6_is_one_sender() -> None:
    guesses = Guesses(1)
    assert guesses.wrong("2001:db8:1:2::5", 1.0) == 0
    assert guesses.wrong("2001:db8:1:2:7::9", 1.0) > 0
    assert guesses.wrong("2001:db8:1:3::5", 1.0) == 0
    assert guesses.wrong("2001:db8::a:1:2:3", 1.0) == 0
    assert guesses.wrong("2001:db8::b:4:5:6", 1.0) > 0  # four noughts are left out of both, so it is one network
    assert guesses.wrong("::ffff:1.2.3.4", 1.0) == guesses.wrong("::ffff:1.2.3.5", 1.0) == 0


def test_it_remembers_no_more_than_so_many() -> None:
    guesses = Guesses(1)
    for number in range(2 * ADDRESSES):
        guesses.wrong(f"10.0.{number // 256}.{number % 256}", 1.0)
    assert len(guesses._seen) == ADDRESSES


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.floats(0, 100))))
def test_nobody_waits_longer_than_a_window_or_without_reason(times: list[tuple[str, float]]) -> None:
    guesses = Guesses(2)
    for place, (address, at) in enumerate(times):
        wait = guesses.wrong(address, at)
        assert 0 <= wait <= WINDOW_SECONDS
        assert not wait or sum(other == address for other, _ in times[: place + 1]) > 2


SHAPES: list[tuple[str, dict[str, str], Any]] = [
    ("/v1/chat/completions", {}, lambda body: body["error"]["code"] == "too_many_auth_failures"),
    ("/v1/messages", {}, lambda body: body["error"]["type"] == "rate_limit_error" and body["type"] == "error"),
    ("/v1beta/models/m:generateContent", {}, lambda body: body["error"]["status"] == "RESOURCE_EXHAUSTED"),
    ("/openai/v1/files", {}, lambda body: body["error"]["code"] == "too_many_auth_failures"),
]


@pytest.mark.parametrize(("path", "headers", "fits"), SHAPES)
async def test_it_is_told_in_the_words_of_each_surface(
    tmp_path: Path, path: str, headers: dict[str, str], fits: Any
) -> None:
    async with MockServer() as mock, handled(tmp_path, mock) as (gw, handler):
        gw.gateway.guesses = Guesses(2)
        wrong = [await Client(path=path, authorization="Bearer sk-ql_wrong")(handler) for _ in range(3)]
        assert [client.status for client in wrong] == [401, 401, 429]
        assert fits(wrong[-1].json)
        assert 1 <= int(wrong[-1].headers["retry-after"]) <= WINDOW_SECONDS
        assert wrong[-1].headers["x-error-origin"] == "gateway"


async def test_a_good_key_passes_from_the_same_address(tmp_path: Path) -> None:
    async with MockServer() as mock, handled(tmp_path, mock) as (gw, handler):
        gw.gateway.guesses = Guesses(1)
        for _ in range(5):
            await Client(authorization="Bearer sk-ql_wrong")(handler)
        body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
        assert (await Client(body=body)(handler)).status == 200
        assert (await Client("GET", "/v1/models")(handler)).status == 200


async def test_who_sends_no_key_at_all_is_not_counted(tmp_path: Path) -> None:
    async with MockServer() as mock, handled(tmp_path, mock) as (gw, handler):
        gw.gateway.guesses = Guesses(1)
        assert {(await Client(authorization="")(handler)).status for _ in range(5)} == {401}
