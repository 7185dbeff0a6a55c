"""What the routing table wants to know of a request, in every dialect."""

import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from accounts.keys import Grant
from accounts.ledger.entry import Entry
from loadtest.mockserver import MockServer
from proxy import features
from proxy.call import Call
from proxy.dialects.base import Asked
from routing.decide import Request, marked
from routing.values import Match, Route
from tests.proxy.harness import ASK, bench, provider, route


def seen(body: dict[str, Any], *, sticky: str = "", headers: dict[bytes, bytes] | None = None, **entry: Any) -> Request:
    grant = Grant("abcd1234", "key", "red")
    row = Entry("id", "client", 0.0, "chat", "red", "", "", "", "", "m", "m", 1, False, prompt_bytes=400)
    row.features = features.noted(body)
    for name, value in entry.items():
        setattr(row, name, value)
    call = Call(grant, row, time.monotonic())
    call.asked = Asked(orjson.dumps(body), body, "m", bool(body.get("stream")))
    call.match = Match(Route("m", (), sticky=sticky), "m", ())
    call.headers = headers or {}
    return features.of(call)


def test_it_knows_who_asks_for_how_much() -> None:
    found = seen({"stream": True}, tags={"tier": "gold"})
    assert (found.team, found.stream, found.tokens, found.tags) == ("red", True, 100, {"tier": "gold"})
    assert not (found.tools or found.images or found.json_schema or found.session)


@pytest.mark.parametrize("body", [{"tools": [{"type": "function"}]}, {"functions": [{}]}])
def test_it_sees_tools(body: dict[str, Any]) -> None:
    assert seen(body).tools
    assert not seen({name: [] for name in body}).tools


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [{"type": "image"}]}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
        {"contents": [{"parts": [{"text": "x"}, {"inlineData": {"mimeType": "image/png"}}]}]},
        {"contents": [{"parts": [{"file_data": {"mime_type": "image/jpeg"}}]}]},
    ],
)
def test_it_sees_images_in_every_dialect(body: dict[str, Any]) -> None:
    assert seen(body).images


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": 'what does "type": "image_url" mean?'}]},
        {"contents": [{"parts": [{"inlineData": {"mimeType": "audio/wav"}}]}]},
        {"input": "an image"},
        {"messages": [None, 3, {"content": None}]},
        {"messages": 7},
    ],
)
def test_it_sees_none_where_none_is(body: dict[str, Any]) -> None:
    assert not seen(body).images


@pytest.mark.parametrize(
    "body",
    [
        {"response_format": {"type": "json_schema"}},
        {"text": {"format": {"type": "json_schema"}}},
        {"output_config": {"format": {"type": "json_schema"}}},
        {"generationConfig": {"responseSchema": {"type": "OBJECT"}}},
    ],
)
def test_it_sees_a_schema_in_every_dialect(body: dict[str, Any]) -> None:
    assert seen(body).json_schema


@pytest.mark.parametrize("body", [{"response_format": {"type": "json_object"}}, {"text": 3}, {"generationConfig": []}])
def test_it_takes_nothing_else_for_a_schema(body: dict[str, Any]) -> None:
    assert not seen(body).json_schema


def test_a_session_is_a_header_or_the_user() -> None:
    headers = {b"x-session-id": b"s1"}
    assert seen({"user": "ann"}, sticky="X-Session-Id", headers=headers).session == marked("s1")
    assert seen({"user": "ann"}, sticky="user", headers=headers).session == marked("ann")
    assert seen({"metadata": {"user_id": "bob"}}, sticky="user").session == marked("bob")
    assert seen({"user": 7}, sticky="user").session == ""
    assert seen({"user": "ann"}, sticky="X-Session-Id").session == ""
    assert seen({"user": "ann"}).session == ""
    assert seen({"user": "a" * 9999}, sticky="user").session == marked("a" * features.SESSION_LENGTH)


async def test_what_a_call_asks_for_stands_on_its_record(tmp_path: Path) -> None:
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}
    tool = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "ok"))]) as gw:
        for more in ({}, {"tools": [tool]}, {"messages": [picture], "tools": [tool]}):
            await gw.ask(ASK | more)
        noted = [row.features for row in await gw.rows()]
    assert noted == [0, features.TOOLS, features.TOOLS + features.IMAGES]
