"""Batches whose answers have to be seen: Anthropic's and Gemini's, and Groq's, over real sockets."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from accounts.prices import Book, Price
from accounts.rates import Service, Tier
from loadtest.mockserver import Answer
from proxy.native.flow import BrokenOff
from proxy.native.results import LONGEST_LINE, Lines, Sums
from tests.proxy.billing.test_matrix import Leaver
from tests.proxy.native.harness import Passer, passing

HALF = {"batch": Service(500)}
AMOUNTS = {"input": 4 * 10**9, "output": 8 * 10**9}  # 4 and 8 USD a million
PRICES = [
    Price(5, "", kind, "*", 0.0, AMOUNTS, (Tier(1000, {"input": 9 * 10**9}),), HALF)
    for kind in ("anthropic", "gemini", "groq")
]
MESSAGE: dict[str, Any] = {"type": "message", "model": "claude-x", "content": []}
RESULTS = "/anthropic/v1/messages/batches/msgbatch_1/results"
JSONL = {"content-type": "application/x-jsonl"}


def message(sent: int, made: int, **more: Any) -> dict[str, Any]:
    used = {"input_tokens": sent, "output_tokens": made, "cache_read_input_tokens": 1, "service_tier": "batch"}
    return {"custom_id": "a", "result": {"type": "succeeded", "message": MESSAGE | {"usage": used} | more}}


def candidate(sent: int, made: int) -> dict[str, Any]:
    used = {"promptTokenCount": sent, "candidatesTokenCount": made, "totalTokenCount": sent + made}
    return {"key": "a", "response": {"candidates": [], "modelVersion": "gemini-x-001", "usageMetadata": used}}


def lines(*items: Any) -> bytes:
    return b"".join(orjson.dumps(item) + b"\n" for item in items)


ERRORED = {"custom_id": "b", "result": {"type": "errored", "error": {"type": "error"}}}


async def look(call: Passer, path: str, *, times: int = 1, query: bytes = b"") -> bytes:
    call.bench.gateway.book = Book(PRICES)
    for _ in range(times):
        client = await call(path, method="GET", query=query)
        assert client.status == 200
    return client.body


async def batches(call: Passer) -> list[Any]:
    return [row for row in await call.bench.rows() if row.surface == "batch"]


@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_anthropics_results_are_billed_once_they_have_passed(tmp_path: Path, size: int) -> None:
    said = lines(message(10, 2), ERRORED, message(20, 3), message(30, 5, model="claude-y"))[:-1]
    async with passing(tmp_path, "anthropic") as call:
        call.stream(*(said[at : at + size] for at in range(0, len(said), size)), headers=JSONL)
        assert await look(call, RESULTS, times=2) == said
        one, other = await batches(call)
        assert (one.client_request_id, one.model_asked, other.model_asked) == ("msgbatch_1", "claude-x", "claude-y")
        assert one.usage == {"input": 30, "cached_input": 2, "output": 5}
        assert (one.attempts[0].service_tier, one.attempts[0].price_id) == ("batch-sum", 5)
        assert (one.cost_nano, one.cost_status) == (32 * 2000 + 5 * 4000, "priced")
        looked = [row for row in await call.bench.rows() if row.surface != "batch"]
        assert [(row.status, row.usage, row.cost_nano) for row in looked] == [("settled", {}, 0)] * 2


async def test_answers_to_long_prompts_are_priced_as_such(tmp_path: Path) -> None:
    async with passing(tmp_path, "anthropic") as call:
        call.say(lines(message(999, 1), message(999, 1), message(1000, 2)), content_type="application/json")
        await look(call, RESULTS)
        (row,) = await batches(call)
        short, long = row.attempts
        assert (short.usage, short.service_tier) == ({"input": 1998, "cached_input": 2, "output": 2}, "batch-sum")
        assert (long.usage, long.service_tier) == ({"input": 1000, "cached_input": 1, "output": 2}, "batch")
        assert row.cost_nano == 2000 * 2000 + 2 * 4000 + 1001 * 4500 + 2 * 4000


async def test_results_that_broke_off_are_billed_when_they_are_seen_whole(tmp_path: Path) -> None:
    said = lines(message(10, 2), message(20, 3))
    async with passing(tmp_path, "anthropic") as call:
        call.stream(said[:-20], headers=JSONL, then="reset")
        call.bench.gateway.book = Book(PRICES)
        with pytest.raises(BrokenOff):
            await call(RESULTS, method="GET")
        assert await batches(call) == []
        call.stream(said, headers=JSONL)
        await look(call, RESULTS)
        (row,) = await batches(call)
        assert row.usage == {"input": 30, "cached_input": 2, "output": 5}


OPERATION: dict[str, Any] = {"name": "batches/b1", "metadata": {"model": "models/gemini-x"}, "done": True}
ANSWERS = {"inlinedResponses": {"inlinedResponses": [candidate(10, 2), {"error": {}}, candidate(20, 3)]}}


@pytest.mark.parametrize(
    "body",
    [
        OPERATION | {"response": ANSWERS},
        OPERATION | {"metadata": {"model": "models/gemini-x", "output": ANSWERS}},
        {"operations": [OPERATION | {"response": ANSWERS}, {"name": "batches/b2", "done": False}]},
    ],
)
async def test_geminis_answers_inside_the_batch_are_billed(tmp_path: Path, body: Any) -> None:
    async with passing(tmp_path, "gemini") as call:
        call.say(body)
        await look(call, "/gemini/v1beta/batches/b1", times=2)
        (row,) = await batches(call)
        assert (row.client_request_id, row.model_asked) == ("batches/b1", "gemini-x")
        assert row.usage == {"input": 30, "output": 5}
        assert row.cost_nano == 30 * 2000 + 5 * 4000


async def test_geminis_answers_in_a_file_are_billed(tmp_path: Path) -> None:
    async with passing(tmp_path, "gemini") as call:
        call.stream(lines(candidate(10, 2), candidate(20, 3)), headers={"content-type": "application/octet-stream"})
        await look(call, "/gemini/v1beta/files/batch-b1:download", query=b"alt=media")
        (row,) = await batches(call)
        assert (row.client_request_id, row.model_asked) == ("files/batch-b1", "gemini-x-001")
        assert row.usage == {"input": 30, "output": 5}


async def test_groqs_answers_in_a_file_are_billed(tmp_path: Path) -> None:
    used = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    answer = {"custom_id": "a", "response": {"status_code": 200, "body": {"model": "llama", "usage": used}}}
    async with passing(tmp_path, "groq", "openai") as call:
        call.say(lines(answer, answer), content_type="application/octet-stream")
        await look(call, "/groq/openai/v1/files/file_1/content")
        await look(call, "/openai/v1/files/file_1/content")  # there the batch itself tells
        (row,) = await batches(call)
        assert (row.provider, row.model_asked, row.usage) == ("my-groq", "llama", {"input": 20, "output": 4})


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (RESULTS, lines(ERRORED, {"result": 3}, [1]) + b"{broken\n\n"),
        ("/anthropic/v1/files/file_1/content", lines(message(1, 1))),
        ("/gemini/v1beta/batches/b1", orjson.dumps(OPERATION | {"response": ANSWERS, "done": False})),
        ("/gemini/v1beta/batches/b1", orjson.dumps({"operations": 3})),
        ("/gemini/v1beta/files/f", lines(candidate(1, 1))),
    ],
)
async def test_what_shows_no_answers_of_a_batch_is_not_billed(tmp_path: Path, path: str, said: bytes) -> None:
    async with passing(tmp_path, "anthropic", "gemini") as call:
        call.say(said)
        await look(call, path)
        assert await batches(call) == []


async def test_who_hangs_up_over_results_pays_all_the_same(tmp_path: Path) -> None:
    said = lines(message(10, 2), message(20, 3))
    async with passing(tmp_path, "anthropic") as call:
        gateway = call.bench.gateway
        gateway.book = Book(PRICES)
        call.mock.script("*", Answer(headers=JSONL, chunks=[said[:50], said[50:]], gap=0.05))
        leaver = Leaver("GET", RESULTS)
        await leaver(call._handler)
        assert leaver.body == said[:50]
        await asyncio.gather(*gateway.tasks)
        (row,) = await batches(call)
        assert row.usage == {"input": 30, "cached_input": 2, "output": 5}
        (looked,) = [row for row in await call.bench.rows() if row.surface != "batch"]
        assert looked.client_gone


async def test_results_are_fetched_through_the_gateway(tmp_path: Path) -> None:
    batch = {"id": "msgbatch_1", "type": "message_batch", "processing_status": "ended"}
    url = "https://api.anthropic.com/v1/messages/batches/msgbatch_1/results"
    async with passing(tmp_path, "anthropic") as call:
        for body in (batch | {"results_url": url}, {"data": [batch | {"results_url": url}], "has_more": False}):
            call.say(body)
            told = await look(call, "/anthropic/v1/messages/batches")
            assert told == orjson.dumps(body).replace(b"https://api.anthropic.com", b"")
        call.say(batch | {"results_url": None})
        assert await look(call, "/anthropic/v1/messages/batches/msgbatch_1") == orjson.dumps(
            batch | {"results_url": None}
        )


def test_a_line_without_end_is_passed_over() -> None:
    billed: list[Any] = []
    watched = Lines(Sums(lambda model: float("inf")), lambda sums: billed.extend(sums.shares("b")))
    for _ in range(3):
        watched.feed(b"", b" " * LONGEST_LINE)
    watched.feed(b"", lines(message(1, 1), message(10, 2))[:-1])
    assert watched.complete()
    assert [(share.key, share.parts[0].as_dict()) for share in billed] == [
        ("b claude-x", {"input": 10, "cached_input": 1, "output": 2})
    ]
