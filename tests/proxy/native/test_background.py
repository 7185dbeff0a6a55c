"""Answers made in the background: whoever is told first what one used pays for it, and nobody pays twice."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from accounts.prices import Book, Price
from proxy.native import background
from tests.proxy.native.harness import Passer, passing

USED = {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 40}, "output_tokens": 10, "total_tokens": 110}
QUEUED = {
    "id": "resp_1",
    "object": "response",
    "status": "queued",
    "model": "o3-deep",
    "created_at": 7.0,
    "background": True,
    "usage": None,
    "service_tier": "default",
}
DONE: Any = QUEUED | {"status": "completed", "usage": USED}
PRICE = Price(5, "", "openai", "o3-deep", 0.0, {"input": 4 * 10**9, "cached_input": 10**9, "output": 8 * 10**9})
COST = 60 * 4000 + 40 * 1000 + 10 * 8000
ASK = {"model": "o3-deep", "input": "Find out.", "background": True}
CREATE, ONE = "/openai/v1/responses", "/openai/v1/responses/resp_1"


def event(kind: str, response: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps({"type": kind, "response": response}))


async def bills(call: Passer) -> list[tuple[str, str, int, str]]:
    rows = await call.bench.rows()
    return [(row.surface, row.client_request_id, row.cost_nano, row.once) for row in rows if row.once]


async def own(call: Passer) -> list[tuple[str, dict[str, int], int, str]]:
    rows = await call.bench.rows()
    return [(row.status, row.usage, row.cost_nano, row.cost_status) for row in rows if not row.once]


def priced(call: Passer) -> None:
    call.bench.gateway.book = Book([PRICE])


async def test_it_is_billed_once_when_it_is_over_and_asking_costs_nothing(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai") as call:
        priced(call)
        for body in (QUEUED, QUEUED | {"status": "in_progress"}, DONE, DONE):
            call.say(body)
            method, path = ("POST", CREATE) if body is QUEUED else ("GET", ONE)
            assert (await call(path, ASK if body is QUEUED else b"", method=method)).status == 200
        ((surface, name, cost, once),) = await bills(call)
        assert (surface, name, cost, len(once)) == ("background", "resp_1", COST, 64)
        assert await own(call) == [("settled", {}, 0, "none")] * 4


async def test_one_that_is_over_at_once_and_one_that_is_cancelled_are_billed_too(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai") as call:
        priced(call)
        call.say(DONE)
        await call(CREATE, ASK)
        call.say(DONE | {"id": "resp_2", "status": "cancelled"})
        await call(ONE + "/cancel", b"")
        assert [cost for _, _, cost, _ in await bills(call)] == [COST, COST]
        assert await own(call) == [("settled", {}, 0, "none")] * 2


async def test_a_stream_of_it_is_billed_as_it_and_not_again_when_it_is_taken_up(tmp_path: Path) -> None:
    last = event("response.completed", DONE)
    async with passing(tmp_path, "openai") as call:
        priced(call)
        for path, body, method in ((CREATE, ASK | {"stream": True}, "POST"), (ONE, b"", "GET")):
            call.stream(event("response.created", QUEUED), last[:50], last[50:])
            answer = await call(path, body, method=method, query=b"stream=true" if method == "GET" else b"")
            assert answer.body.endswith(last)
        assert [cost for _, _, cost, _ in await bills(call)] == [COST]
        assert await own(call) == [("settled", {}, 0, "none")] * 2


async def test_a_stream_that_breaks_off_is_billed_by_whoever_takes_it_up(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai") as call:
        priced(call)
        call.stream(event("response.created", QUEUED), then="cut")
        await call(CREATE, ASK | {"stream": True})
        assert await bills(call) == []
        assert await own(call) == [("interrupted", {}, 0, "none")]


async def test_the_word_of_the_caller_alone_frees_nobody(tmp_path: Path) -> None:
    chat = {"model": "o3-deep", "messages": [{"role": "user", "content": "Hi"}], "background": True}
    asks: list[tuple[str, Any, Any]] = [
        ("/openai/v1/chat/completions", chat, {"usage": {"prompt_tokens": 100, "completion_tokens": 10}}),
        (CREATE, ASK, {name: value for name, value in DONE.items() if name != "background"}),
        (CREATE, ASK, DONE | {"background": False}),
        (CREATE, ASK, DONE | {"id": None}),
    ]
    async with passing(tmp_path, "openai") as call:
        priced(call)
        for path, ask, answer in asks:
            call.say(answer)
            await call(path, ask)
        call.stream(event("response.created", {"status": "queued"}), event("response.completed", asks[1][2]))
        await call(CREATE, ASK | {"stream": True})
        call.stream(event("response.created", {"status": "queued"}), then="cut")
        await call(CREATE, ASK | {"stream": True})
        assert await bills(call) == []
        assert [status for _, _, cost, status in await own(call) if cost] == ["priced"] * 6


@pytest.mark.parametrize(
    "response",
    [
        DONE | {"background": False},
        QUEUED,
        DONE | {"usage": None},
        DONE | {"status": []},
        DONE | {"object": "chat.completion"},
        DONE | {"usage": {"input_tokens": -1}},
        DONE | {"id": 3},
        DONE | {"model": None},
        [DONE],
        None,
    ],
)
def test_what_is_not_over_or_was_not_made_in_the_background_is_no_share(response: Any) -> None:
    assert list(background.finished(response)) == []
