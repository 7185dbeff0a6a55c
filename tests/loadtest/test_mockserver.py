"""The scripted provider: good answers, each kind of fault, scripts, records and the journal."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from loadtest.mockserver import Answer, MockServer, in_thread

CHAT = "/chat/completions"


@pytest.fixture
async def mock() -> AsyncIterator[MockServer]:
    async with MockServer() as server:
        yield server


@pytest.fixture
async def client(mock: MockServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=mock.base_url, trust_env=False) as http:
        yield http


def ask(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "say hello nonce-7f"}], **more}


def events(text: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def content(parsed: list[Any]) -> str:
    deltas = [choice["delta"] for event in parsed if event != "[DONE]" for choice in event["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


async def broken(client: httpx.AsyncClient, model: str) -> tuple[bytes, type[Exception] | None]:
    """The bytes of a stream that may break, and how it broke."""
    got = b""
    try:
        async with client.stream("POST", CHAT, json=ask(model, stream=True), timeout=0.15) as answer:
            async for part in answer.aiter_raw():
                got += part
    except httpx.HTTPError as error:
        return got, type(error)
    return got, None


async def test_it_answers_plainly_with_usage_and_the_headers_of_openai(client: httpx.AsyncClient) -> None:
    answer = await client.post(CHAT, json=ask("gpt-4o-mini"))
    body = answer.json()
    assert (answer.status_code, body["model"], body["object"]) == (200, "gpt-4o-mini", "chat.completion")
    assert body["choices"][0]["message"]["content"] == "Hello from the"
    assert (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]) == (12, 3)
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["x-ratelimit-remaining-requests"] == "9999"


async def test_it_streams_the_same_words_and_usage_only_when_asked(client: httpx.AsyncClient) -> None:
    bare = events((await client.post(CHAT, json=ask("ok", stream=True))).text)
    options = {"stream": True, "stream_options": {"include_usage": True}}
    counted = events((await client.post(CHAT, json=ask("ok", **options))).text)
    assert content(bare) == content(counted) == "Hello from the"
    assert bare[-1] == counted[-1] == "[DONE]"
    assert not any("usage" in event for event in bare[:-1])
    assert counted[-2]["choices"] == [] and counted[-2]["usage"]["total_tokens"] == 15
    assert counted[-3]["choices"][0]["finish_reason"] == "stop"


async def test_it_records_each_request_byte_for_byte(mock: MockServer, client: httpx.AsyncClient) -> None:
    raw = b'{ "model":"ok" , "messages":[], "odd":"nonce-a1" }'
    answer = await client.post(CHAT, content=raw, headers={"Authorization": "Bearer sk-x", "X-Odd": "1"})
    (hit,) = mock.hits
    assert hit.body == raw and hit.json["odd"] == "nonce-a1"
    assert (hit.nonce, hit.model, hit.stream, hit.path) == ("nonce-a1", "ok", False, "/v1/chat/completions")
    assert hit.headers["authorization"] == "Bearer sk-x" and ("X-Odd", "1") in hit.header_lines
    assert hit.request_id == answer.headers["x-request-id"]
    assert hit.ended and not hit.peer_closed and hit.status == 200


async def test_it_reads_a_chunked_request_body(mock: MockServer, client: httpx.AsyncClient) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b'{"model":'
        yield b'"ok"}'

    assert (await client.post(CHAT, content=parts())).status_code == 200
    assert mock.hits[0].body == b'{"model":"ok"}'


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("status-400", 400, "invalid_value"),
        ("status-401", 401, "invalid_api_key"),
        ("status-429", 429, "rate_limit_exceeded"),
        ("status-500", 500, None),
    ],
)
async def test_it_answers_the_status_in_the_name(
    client: httpx.AsyncClient, model: str, status: int, code: str | None
) -> None:
    answer = await client.post(CHAT, json=ask(model, stream=True))
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert answer.json()["error"]["code"] == code


@pytest.mark.parametrize(
    ("model", "count", "error"),
    [
        ("cut-0", 0, httpx.RemoteProtocolError),
        ("cut-2", 2, httpx.RemoteProtocolError),
        ("cut-5", 5, httpx.RemoteProtocolError),
        ("rst-2", 2, httpx.ReadError),
        ("stall-1", 1, httpx.ReadTimeout),
    ],
)
async def test_it_breaks_a_stream_after_the_events_asked_for(
    client: httpx.AsyncClient, model: str, count: int, error: type[Exception]
) -> None:
    got, how = await broken(client, model)
    assert (got.count(b"data: "), how) == (count, error)
    assert b"[DONE]" not in got


@pytest.mark.parametrize("model", ["cut-1", "rst-1", "drop"])
async def test_it_breaks_a_plain_answer_too(client: httpx.AsyncClient, model: str) -> None:
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await client.post(CHAT, json=ask(model))


async def test_it_fails_twice_for_each_nonce_and_then_answers(client: httpx.AsyncClient) -> None:
    statuses = [(await client.post(CHAT, json=ask("500x2-then-ok"))).status_code for _ in range(4)]
    assert statuses == [500, 500, 200, 200]
    other = {"model": "500x2-then-ok", "messages": [{"role": "user", "content": "nonce-other"}]}
    assert (await client.post(CHAT, json=other)).status_code == 500


async def test_it_puts_broken_json_into_the_middle(client: httpx.AsyncClient) -> None:
    got, how = await broken(client, "bad-json-2")
    parts = got.split(b"\n\n")
    with pytest.raises(json.JSONDecodeError):
        json.loads(parts[2].removeprefix(b"data: "))
    assert how is None and parts[-2] == b"data: [DONE]"


async def test_it_reports_an_error_inside_the_stream_and_ends(client: httpx.AsyncClient) -> None:
    parsed = events((await client.post(CHAT, json=ask("error-event-1", stream=True))).text)
    assert len(parsed) == 2 and parsed[1]["error"]["type"] == "server_error"


async def test_it_gives_usage_in_the_ways_that_providers_differ(client: httpx.AsyncClient) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    nothing = events((await client.post(CHAT, json=ask("usage-none", **options))).text)
    assert not any("usage" in event for event in nothing[:-1])
    assert "usage" not in (await client.post(CHAT, json=ask("usage-none"))).json()
    nulls = events((await client.post(CHAT, json=ask("usage-null-each", **options))).text)[:-1]
    assert [event["usage"] for event in nulls[:-1]] == [None] * 4
    assert nulls[-1]["usage"]["completion_tokens"] == 3


async def test_it_ends_without_done_or_without_a_finish_reason(client: httpx.AsyncClient) -> None:
    no_done = events((await client.post(CHAT, json=ask("no-done", stream=True))).text)
    assert no_done[-1]["choices"][0]["finish_reason"] == "stop"
    no_finish = events((await client.post(CHAT, json=ask("no-finish", stream=True))).text)
    assert no_finish[-1]["choices"][0]["finish_reason"] is None


async def test_it_paces_a_stream_as_the_name_says(client: httpx.AsyncClient) -> None:
    answer = await client.post(CHAT, json=ask("paced-4x1ms", stream=True))
    assert len(events(answer.text)) == 4 + 2
    assert (await client.post(CHAT, json=ask("paced-4x1ms"))).json()["usage"]["completion_tokens"] == 4


@pytest.mark.parametrize("model", ["slice-1", "slice-7", "crlf"])
async def test_it_cuts_and_ends_lines_otherwise_and_means_the_same(client: httpx.AsyncClient, model: str) -> None:
    answer = await client.post(CHAT, json=ask(model, stream=True))
    assert content(events(answer.text)) == "Hello from the"
    assert answer.text.count("\r\n\r\n") == (5 if model == "crlf" else 0)


async def test_it_calls_a_tool(client: httpx.AsyncClient) -> None:
    choice = (await client.post(CHAT, json=ask("tool-call"))).json()["choices"][0]
    whole = choice["message"]["tool_calls"][0]["function"]["arguments"]
    parsed = events((await client.post(CHAT, json=ask("tool-call", stream=True))).text)[:-1]
    calls = [call for event in parsed for call in event["choices"][0]["delta"].get("tool_calls", ())]
    assert whole == "".join(call["function"]["arguments"] for call in calls) == '{"city": "Paris"}'
    assert choice["finish_reason"] == parsed[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_it_answers_with_what_no_provider_should(client: httpx.AsyncClient) -> None:
    html = await client.post(CHAT, json=ask("html-200"))
    assert (html.status_code, html.headers["content-type"]) == (200, "text/html")
    assert (await client.post(CHAT, json=ask("empty-200"))).content == b""
    moved = await client.post(CHAT, json=ask("redirect"))
    assert (moved.status_code, moved.headers["location"]) == (307, "/sink")


async def test_it_lists_models_and_is_healthy(client: httpx.AsyncClient) -> None:
    assert (await client.get("/models")).json()["data"][0]["id"] == "bench-model"
    assert (await client.get("/../health")).json() == {"status": "ok"}
    assert (await client.get("/nothing")).status_code == 404


async def test_it_says_what_the_test_scripted(mock: MockServer, client: httpx.AsyncClient) -> None:
    mock.script("m", Answer(status=503, headers={"retry-after": "3"}, body=b"{}"), Answer(chunks=[b"data: 1\n\n"]))
    mock.script("/v1/embeddings", lambda hit: Answer(body=hit.body[:4]))
    first, second, third = [await client.post(CHAT, json=ask("m")) for _ in range(3)]
    assert (first.status_code, first.headers["retry-after"]) == (503, "3")
    assert second.text == third.text == "data: 1\n\n"
    assert (await client.post("/embeddings", content=b"abcdef")).content == b"abcd"
    mock.script("m")
    assert (await client.post(CHAT, json=ask("m"))).json()["model"] == "m"


async def test_it_writes_raw_bytes_and_lies_about_lengths(mock: MockServer, client: httpx.AsyncClient) -> None:
    mock.script("raw", Answer(raw=True, chunks=[b"HTTP/1.0 200 OK\r\n\r\n", b"old"], then="cut"))
    assert (await client.post(CHAT, json=ask("raw"))).text == "old"
    mock.script("liar", Answer(body=b"short", headers={"content-length": "99"}, then="cut"))
    with pytest.raises(httpx.RemoteProtocolError):
        await client.post(CHAT, json=ask("liar"))


async def test_it_waits_for_an_event_between_two_chunks(mock: MockServer, client: httpx.AsyncClient) -> None:
    gate = asyncio.Event()
    mock.script("gated", Answer(chunks=[b"one", gate, b"two"]))
    async with client.stream("POST", CHAT, json=ask("gated", stream=True)) as answer:
        parts = answer.aiter_raw()
        assert await anext(parts) == b"one"
        assert not mock.hits[0].ended
        gate.set()
        assert await anext(parts) == b"two"


async def test_it_notices_that_the_caller_left(mock: MockServer, client: httpx.AsyncClient) -> None:
    await broken(client, "stall-2")
    await mock.idle()
    (hit,) = mock.hits
    assert hit.peer_closed and hit.ended and hit.chunks == 2
    assert mock.connections == 0


async def test_it_stops_writing_while_the_caller_does_not_read(mock: MockServer) -> None:
    mock.script("endless", lambda hit: Answer(chunks=iter(lambda: b"x" * 65536, None)))
    reader, writer = await asyncio.open_connection("127.0.0.1", mock.port, limit=1024)
    body = b'{"model":"endless","stream":true}'
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    await asyncio.sleep(0.1)
    before = mock.hits[0].sent
    await asyncio.sleep(0.05)
    assert mock.hits[0].sent == before > 0
    await reader.readexactly(before)
    writer.close()
    await mock.idle()
    assert mock.hits[0].sent > before


async def test_it_answers_pipelined_requests_in_order(mock: MockServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", mock.port)
    writer.write(b"GET /health HTTP/1.1\r\n\r\nGET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n")
    got = await reader.read()
    writer.close()
    assert got.index(b'"status":"ok"') < got.index(b"bench-model")


async def test_it_journals_each_hit_at_once(tmp_path: Path) -> None:
    path = tmp_path / "hits.jsonl"
    mock = MockServer(journal=path, record=False)
    async with mock, httpx.AsyncClient(base_url=mock.base_url, trust_env=False) as http:
        await http.post(CHAT, json=ask("ok"))
        first = json.loads(path.read_text())
        assert (first["nonce"], first["model"], first["stream"], first["chunks"]) == ("nonce-7f", "ok", False, 1)
        assert first["sent"] > 500 and first["at"] > 0 and first["peer_closed"] is False
        await broken(http, "stall-2")
        await mock.idle()
    second = json.loads(path.read_text().splitlines()[1])
    assert (second["stream"], second["chunks"], second["peer_closed"]) == (True, 2, True)
    assert mock.hits == []


def test_it_serves_from_a_thread_of_its_own() -> None:
    with in_thread(chunks=1) as mock:
        answer = httpx.post(mock.base_url + CHAT, json=ask("ok"), trust_env=False)
    assert answer.json()["choices"][0]["message"]["content"] == "Hello"
    assert len(mock.hits) == 1
