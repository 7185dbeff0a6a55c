"""Batches behind our keys, over real sockets: billed once, at the batch's prices."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from accounts.prices import Book, Price
from accounts.rates import Service, Tier
from loadtest.mockserver import Answer, MockServer
from proxy.native.batches import digest
from routing.values import Provider
from tests.proxy.native.harness import Passer, passing

USED = {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 40}, "output_tokens": 10, "total_tokens": 110}
DONE = {"id": "batch_1", "object": "batch", "status": "completed", "model": "gpt-x", "created_at": 7, "usage": USED}
PRICE = Price(
    5,
    "",
    "openai",
    "gpt-x",
    0.0,
    {"input": 4 * 10**9, "output": 8 * 10**9},
    (Tier(50, {"input": 9 * 10**9}),),
    {"batch": Service(500)},
)
ONE, ALL = "/openai/v1/batches/batch_1", "/openai/v1/batches"


async def look(call: Passer, path: str, body: Any) -> None:
    call.bench.gateway.book = Book([PRICE])
    call.say(body)
    client = await call(path, method="GET")
    assert client.status == 200


async def batches(call: Passer) -> list[Any]:
    return [row for row in await call.bench.rows() if row.surface == "batch"]


async def test_a_batch_is_billed_once_however_often_it_is_looked_at(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai") as call:
        await look(call, ONE, DONE | {"status": "in_progress"})
        assert await batches(call) == []
        await look(call, ONE, DONE)
        await look(call, ONE, DONE)
        await look(call, ALL, {"object": "list", "data": [DONE, DONE | {"id": "batch_2"}, {"id": 3}]})
        first, second = await batches(call)
        assert (first.client_request_id, second.client_request_id) == ("batch_1", "batch_2")
        attempt = first.attempts[0]
        assert (attempt.model, attempt.service_tier, attempt.price_id) == ("gpt-x", "batch-sum", 5)
        assert attempt.usage == {"input": 60, "cached_input": 40, "output": 10}
        # Half of 4 USD and 8 USD a million: many prompts together are no long prompt.
        assert first.cost_nano == 100 * 2000 + 10 * 4000
        assert first.cost_status == "priced" and first.status == "settled" and len(first.id) == 36
        looked = [row for row in await call.bench.rows() if row.surface != "batch"]
        assert [(row.usage, row.cost_nano) for row in looked] == [({}, 0)] * 4


@pytest.mark.parametrize("renamed", [False, True])
async def test_another_process_says_that_it_bills_the_same(tmp_path: Path, renamed: bool) -> None:
    ids, names = set(), set()
    async with MockServer() as mock:
        mock.script("*", Answer(headers={"content-type": "application/json"}, body=orjson.dumps(DONE)))
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            provider = name if renamed else "one"
            async with passing(tmp_path / name, "openai", base_url=mock.base_url, name=provider) as call:
                await look(call, ONE, DONE)
                (row,) = await batches(call)
                assert row.provider == provider
                ids.add(row.id)
                names.add(row.once)
    assert (len(ids), len(names)) == (2, 1)  # of which the ledger keeps one, see tests/accounts/test_ledger.py


def test_another_host_may_have_a_batch_of_the_same_name() -> None:
    provider = Provider("one", "openai", "https://api.openai.com/v1")
    moved = replace(provider, base_url="https://llm.example/v1")
    assert digest(provider, "batch_1") != digest(moved, "batch_1")


@pytest.mark.parametrize(
    "body",
    [
        DONE | {"status": "failed"},
        DONE | {"status": []},
        DONE | {"usage": None},
        DONE | {"usage": {"input_tokens": -1}},
        DONE | {"usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}},
        DONE | {"model": None},
        DONE | {"id": 7},
        DONE | {"object": "file"},
        [DONE],
        {"object": "list", "data": 3},
    ],
)
async def test_what_is_no_finished_batch_is_not_billed(tmp_path: Path, body: Any) -> None:
    async with passing(tmp_path, "openai") as call:
        await look(call, ONE, body)
        assert await batches(call) == []


async def test_what_was_counted_when_it_was_made_is_not_counted_again(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai") as call:
        stored = {"id": "resp_1", "object": "response", "model": "gpt-x", "usage": USED}
        await look(call, "/openai/v1/responses/resp_1", stored)
        (row,) = await call.bench.rows()
        assert (row.usage, row.usage_source, row.cost_status) == ({}, "none", "none")
