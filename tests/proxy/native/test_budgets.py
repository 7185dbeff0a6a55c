"""Every surface is admitted by budgets, and refused in its own words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from accounts.budgets.limits import Limit
from accounts.prices import Book, Price
from loadtest.mockserver import Answer
from tests.proxy.lender import NOW, USD, Database
from tests.proxy.native.harness import EVENTS, Passer, passing

# A cent for each token of the answer, and for each call of what is not paid by tokens.
CENT = USD // 100
PRICE = Price(1, "", "", "*", 0.0, {"input": 0, "output": CENT * 10**6, "requests": CENT * 10**6})
KINDS = ("openai", "anthropic", "gemini", "groq")
MESSAGES = [{"role": "user", "content": "Hello"}]
CHAT = {"model": "m", "messages": MESSAGES, "max_tokens": 10}
GEMINI = {"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"maxOutputTokens": 10}}
RESPONSES = {"model": "m", "input": "Hi", "max_output_tokens": 10}
SURFACES: dict[str, tuple[str, Any]] = {
    "openai, own": ("/openai/v1/chat/completions", CHAT),
    "openai, responses": ("/openai/v1/responses", RESPONSES),
    "openai, unknown": ("/openai/v1/new/thing", CHAT),
    "openai, nameless": ("/openai/v1/files", {"purpose": "x"}),
    "groq, own": ("/groq/openai/v1/chat/completions", CHAT),
    "anthropic, own": ("/anthropic/v1/messages", CHAT),
    "gemini, own": ("/gemini/v1beta/models/m:generateContent", GEMINI),
    "gemini, own, stream": ("/gemini/v1beta/models/m:streamGenerateContent?alt=sse", GEMINI),
    "chat": ("/v1/chat/completions", CHAT | {"model": "my-openai/m"}),
    "chat, stream": ("/v1/chat/completions", CHAT | {"model": "my-openai/m", "stream": True}),
    "messages": ("/v1/messages", CHAT | {"model": "my-openai/m"}),
    "responses": ("/v1/responses", RESPONSES | {"model": "my-openai/m"}),
    "completions": ("/v1/completions", {"model": "my-openai/m", "prompt": "Hi", "max_tokens": 10}),
    "gemini": ("/v1beta/models/my-openai/m:generateContent", GEMINI),
    "minimal": ("/proxy", {"model": "my-openai/m", "messages": MESSAGES, "max_tokens": 10}),
    "images": ("/v1/images/generations", {"model": "my-openai/m", "prompt": "a cat", "n": 4}),
    "speech": ("/v1/audio/speech", {"model": "my-openai/m", "input": "hello", "voice": "x"}),
    "moderations": ("/v1/moderations", {"model": "my-openai/m", "input": "hello"}),
}


@asynccontextmanager
async def budgeted(folder: Path, nano: int) -> AsyncIterator[tuple[Passer, Database]]:
    async with passing(folder, *KINDS) as ask:
        gateway = ask.bench.gateway
        gateway.book, gateway.clock = Book((PRICE,)), lambda: NOW
        yield ask, Database(gateway.purse, Limit(1, nano, "month", team="red"))


@pytest.mark.parametrize("surface", SURFACES)
async def test_no_surface_goes_round_a_budget(surface: str, tmp_path: Path) -> None:
    path, body = SURFACES[surface]
    async with budgeted(tmp_path, 0) as (ask, _):
        query = path.partition("?")[2].encode()
        client = await ask(path, body, query=query, content_type="application/json")
        assert client.status == 429, client.body
        assert client.headers["x-should-retry"] == "false"
        assert client.headers["x-budget-left"] == "0.000000000"
        assert ask.mock.hits == []
        assert "budget" in client.body.decode()
        row = await ask.bench.row()
        assert (row.status, row.error, row.cost_nano) == ("failed", "insufficient_quota", 0)


async def test_a_refusal_is_said_in_the_surface_s_own_shape(tmp_path: Path) -> None:
    async with budgeted(tmp_path, 0) as (ask, _):
        said = {}
        for surface in ("chat", "messages", "gemini"):
            path, body = SURFACES[surface]
            said[surface] = orjson.loads((await ask(path, body, content_type="application/json")).body)
        assert said["chat"]["error"]["code"] == "insufficient_quota"
        assert said["messages"]["type"] == "error"
        assert said["messages"]["error"]["type"] == "billing_error"
        assert said["gemini"]["error"]["status"] == "RESOURCE_EXHAUSTED"


async def test_looking_and_counting_go_on_when_the_budget_is_used_up(tmp_path: Path) -> None:
    async with budgeted(tmp_path, 0) as (ask, _):
        ask.say({"data": []}, content_type="application/json")
        assert (await ask("/openai/v1/models", method="GET")).status == 200
        ask.say({"input_tokens": 3})
        counted = await ask("/anthropic/v1/messages/count_tokens", CHAT, content_type="application/json")
        assert counted.status == 200


async def test_passed_answers_and_streams_settle_to_what_they_cost(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    reply = {"id": "x", "object": "chat.completion", "model": "m", "choices": [], "usage": usage}
    chunk = {"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "a"}}]}
    events = [b"data: %b\n\n" % orjson.dumps(each) for each in (chunk, {**chunk, "choices": [], "usage": usage})]
    async with budgeted(tmp_path, 1000 * USD) as (ask, _):
        ask.mock.script(
            "*", Answer(body=orjson.dumps(reply)), Answer(headers=EVENTS, chunks=[*events, b"data: [DONE]\n\n"])
        )
        for body in (CHAT, CHAT | {"stream": True}):
            client = await ask("/openai/v1/chat/completions", body, content_type="application/json")
            assert client.status == 200
        rows = await ask.bench.rows()
        assert [row.cost_nano for row in rows] == [3 * CENT, 3 * CENT]
        assert {row.reserved_nano for row in rows} == {11 * CENT}
        account = next(iter(ask.bench.gateway.purse.accounts.values()))
        assert (account.settled, account.reserved, account.open) == (6 * CENT, 0, 0)
        assert rows[0].leases == [account.lease]


REQUESTS = [{"custom_id": "a", "params": CHAT}]
BATCHES: dict[str, tuple[str, Any, Any, list[tuple[str, Any]], int]] = {
    "openai": (
        "/openai/v1/batches",
        {"input_file_id": "file-1"},
        {"id": "batch_1", "object": "batch", "status": "validating"},
        [("/openai/v1/batches/batch_1", {"id": "batch_1", "object": "batch", "status": "failed"})],
        USD,
    ),
    "anthropic": (
        "/anthropic/v1/messages/batches",
        {"requests": REQUESTS},
        {"id": "msgbatch_1", "processing_status": "in_progress"},
        [("/anthropic/v1/messages/batches/msgbatch_1/results", {"custom_id": "a", "result": {"type": "errored"}})],
        11 * CENT,
    ),
    "gemini": (
        "/gemini/v1beta/models/m:batchGenerateContent",
        {"batch": {"inputConfig": {"requests": {"requests": [{"request": GEMINI}]}}}},
        {"name": "batches/1", "metadata": {"state": "BATCH_STATE_PENDING"}},
        [("/gemini/v1beta/batches", {"operations": [{"name": "batches/1", "done": True}]})],
        11 * CENT,
    ),
}


@pytest.mark.parametrize("kind", BATCHES)
async def test_what_was_reserved_for_a_batch_is_held_until_it_is_seen_to_be_over(kind: str, tmp_path: Path) -> None:
    path, body, made, looks, amount = BATCHES[kind]
    async with budgeted(tmp_path, amount + amount // 2) as (ask, _):
        ask.say(made)
        assert (await ask(path, body, content_type="application/json")).status == 200
        (row,) = await ask.bench.rows()
        assert (row.cost_nano, row.reserved_nano, list(row.holds.values())) == (0, amount, [amount])
        account = next(iter(ask.bench.gateway.purse.accounts.values()))
        assert (account.settled, account.reserved, account.open) == (amount, 0, 0)
        assert (await ask(path, body, content_type="application/json")).status == 429
        ask.say(made)
        await ask(path, method="GET")
        for look, told in looks * 2:
            ask.say(told)
            assert (await ask(look, method="GET")).status == 200
        freed = [each.holds for each in (await ask.bench.rows())[2:]]
        assert freed == [{}, dict.fromkeys(row.holds, 0), {}]


async def test_a_batch_of_anthropics_is_over_when_its_results_are_read_or_nothing_came_of_it(tmp_path: Path) -> None:
    path, body, made, *_ = BATCHES["anthropic"]
    ended = {"id": "msgbatch_1", "type": "message_batch", "processing_status": "ended"}
    async with budgeted(tmp_path, USD) as (ask, _):
        ask.say(made)
        await ask(path, body, content_type="application/json")
        for counts in ({"succeeded": 1, "errored": 0}, {"succeeded": 0, "canceled": 1}):
            ask.say({"data": [ended | {"request_counts": counts}]})
            assert (await ask(path, method="GET")).status == 200
        first, looked, empty = await ask.bench.rows()
        assert (looked.holds, empty.holds) == ({}, dict.fromkeys(first.holds, 0))


async def test_a_batch_that_was_refused_holds_nothing(tmp_path: Path) -> None:
    path, body, *_ = BATCHES["anthropic"]
    async with budgeted(tmp_path, USD) as (ask, _):
        ask.say({"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}, status=400)
        assert (await ask(path, body, content_type="application/json")).status == 400
        (row,) = await ask.bench.rows()
        account = next(iter(ask.bench.gateway.purse.accounts.values()))
        assert (row.holds, account.settled, account.reserved) == ({}, 0, 0)
