"""A team that pays for models with a price only, on every surface, over real sockets."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accounts.prices import Book, Price
from loadtest.mockserver import MockServer
from proxy.errors import GatewayError
from tests.proxy.harness import ASK, GRANT, bench, provider, route
from tests.proxy.native.harness import Passer, of_kind, passing
from tests.site.test_handler import KEY

CAREFUL = replace(GRANT, priced_only=True)
KNOWN = Price(1, "", "", "known", 0.0, {"input": 1000, "output": 1000})
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
CHAT = {"model": "m", "messages": HELLO}
GEMINI = {"contents": [{"parts": [{"text": "Hi"}]}]}


async def test_it_calls_only_targets_with_a_price(tmp_path: Path) -> None:
    async with MockServer() as mock:
        first, second = provider(mock.base_url, "first"), provider(mock.base_url, "second")
        routes = [route("m", (first, "unknown"), (second, "known"))]
        async with bench(tmp_path, routes, prices=[KNOWN]) as gw:
            assert (await gw.ask(ASK, grant=CAREFUL)).attempts == ["second/known"]
            assert (await gw.ask(ASK)).attempts == ["first/unknown"]


async def test_it_refuses_before_a_provider_is_called_and_records_it(tmp_path: Path) -> None:
    async with MockServer() as mock:
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "up"))], prices=[KNOWN]) as gw:
            with pytest.raises(GatewayError) as caught:
                await gw.ask(ASK, grant=CAREFUL)
            assert (caught.value.status, caught.value.code, caught.value.param) == (403, "model_unpriced", "model")
            row = await gw.row()
            assert (row.status, row.error, row.attempts, row.cost_nano) == ("failed", "model_unpriced", [], 0)
            assert mock.hits == []


async def test_a_price_of_tomorrow_is_no_price_yet(tmp_path: Path) -> None:
    async with MockServer() as mock:
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "known"))], prices=[]) as gw:
            gw.gateway.book = Book([replace_at(KNOWN, gw.gateway.clock() + 3600)])
            with pytest.raises(GatewayError, match="no price yet"):
                await gw.ask(ASK, grant=CAREFUL)


async def test_a_free_provider_needs_no_price(tmp_path: Path) -> None:
    async with MockServer() as mock:
        async with bench(tmp_path, [route("m", (provider(mock.base_url, free=True), "up"))], prices=[]) as gw:
            assert (await gw.ask(ASK, grant=CAREFUL)).cost_nano == 0


def replace_at(price: Price, at: float) -> Price:
    return Price(price.id, price.provider, price.kind, price.model, at, price.nano_per_million)


def routed(mock: MockServer) -> list[Any]:
    kinds = ("openai-compatible", "anthropic", "gemini")
    return [route("m", *((of_kind(kind, mock), "up") for kind in kinds))]


async def careful(call: Passer) -> None:
    call.bench.gateway.keys = {KEY.digest: CAREFUL}
    call.bench.gateway.book = Book(())


OPENAI, ANTHROPIC, GOOGLE = "openai", "anthropic", "gemini"
SURFACES: list[tuple[str, Any, str]] = [
    ("/v1/chat/completions", CHAT, OPENAI),
    ("/v1/chat/completions", CHAT | {"stream": True}, OPENAI),
    ("/v1/completions", {"model": "m", "prompt": "Hi"}, OPENAI),
    ("/v1/embeddings", {"model": "m", "input": "Hi"}, OPENAI),
    ("/v1/responses", {"model": "m", "input": "Hi"}, OPENAI),
    ("/v1/images/generations", {"model": "m", "prompt": "Hi"}, OPENAI),
    ("/v1/messages", CHAT | {"max_tokens": 5}, ANTHROPIC),
    ("/v1beta/models/m:generateContent", GEMINI, GOOGLE),
    ("/v1beta/models/m:streamGenerateContent", GEMINI, GOOGLE),
    ("/proxy", CHAT, OPENAI),
    ("/openai/v1/chat/completions", CHAT, OPENAI),
    ("/openai/v1/fine_tuning/jobs", {"model": "m"}, OPENAI),
    ("/openai/v1/batches", {"input_file_id": "f"}, OPENAI),
    ("/anthropic/v1/messages", CHAT | {"max_tokens": 5}, ANTHROPIC),
    ("/gemini/v1beta/models/m:generateContent", GEMINI, GOOGLE),
]


@pytest.mark.parametrize(
    ("path", "body", "shape"), SURFACES, ids=[f"{path}-{n}" for n, (path, _, _) in enumerate(SURFACES)]
)
async def test_every_surface_refuses_in_its_own_words(tmp_path: Path, path: str, body: Any, shape: str) -> None:
    async with passing(tmp_path, "openai", "anthropic", "gemini", routes=routed) as call:
        await careful(call)
        client = await call(path, body, content_type="application/json")
        assert client.status == 403, client.body
        error = client.json["error"]
        if shape == ANTHROPIC:
            assert (client.json["type"], error["type"]) == ("error", "permission_error")
        elif shape == GOOGLE:
            assert (error["code"], error["status"]) == (403, "PERMISSION_DENIED")
        else:
            assert (error["type"], error["code"]) == ("permission_error", "model_unpriced")
        assert "no price yet" in error["message"]
        assert client.headers["x-error-origin"] == "gateway"
        assert call.mock.hits == []
        assert [row.error for row in await call.bench.rows()] == ["model_unpriced"]


async def test_what_costs_nothing_is_not_refused(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai", "anthropic", routes=routed) as call:
        await careful(call)
        call.say({"data": []})
        assert (await call("/openai/v1/files", method="GET")).status == 200
        call.say({"input_tokens": 3})
        counted = await call("/anthropic/v1/messages/count_tokens", CHAT, content_type="application/json")
        assert counted.status == 200, counted.body
        translated = await call("/v1/messages/count_tokens", CHAT, content_type="application/json")
        assert translated.status == 200, translated.body
