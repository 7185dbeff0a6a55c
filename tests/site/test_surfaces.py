"""Every surface against targets of its own dialect and of others, over real sockets."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from loadtest.mockserver import Answer, MockServer
from routing.snapshot import build
from tests.proxy.harness import provider, route
from tests.site.test_handler import Client, handled

USED = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


async def test_responses_are_translated_for_who_only_chats(tmp_path: Path) -> None:
    async with MockServer() as mock, handled(tmp_path, mock) as (gw, handler):
        client = await Client(path="/v1/responses", body={"model": "m", "input": "Hello"})(handler)
        assert client.status == 200, client.body
        assert client.json["object"] == "response"
        assert client.json["output"][-1]["content"][0]["text"] == "Hello from the"
        assert mock.hits[0].path == "/v1/chat/completions"
        row = await gw.row()
        assert (row.surface, row.usage, row.status) == ("responses", {"input": 12, "output": 3}, "settled")
        assert client.headers["x-request-cost"] == "0.000018000"


async def test_a_stream_of_responses_ends_with_its_cost_and_no_done(tmp_path: Path) -> None:
    async with MockServer() as mock, handled(tmp_path, mock) as (gw, handler):
        client = await Client(path="/v1/responses", body={"model": "m", "input": "Hello", "stream": True})(handler)
        body = client.body.decode()
        assert body.index("event: response.created") < body.index("response.output_text.delta")
        assert body.index(": x-request-cost=0.000018000") < body.index("event: response.completed")
        assert "[DONE]" not in body
        assert (await gw.row()).usage == {"input": 12, "output": 3}


async def test_a_cut_stream_of_responses_fails(tmp_path: Path) -> None:
    async with MockServer() as mock, handled(tmp_path, mock, "cut-2") as (gw, handler):
        client = await Client(path="/v1/responses", body={"model": "m", "input": "Hello", "stream": True})(handler)
        assert "response.completed" not in client.body.decode()
        assert "stream_interrupted" in client.body.decode()
        assert (await gw.row()).status == "interrupted"


async def test_embeddings_pass_and_are_billed(tmp_path: Path) -> None:
    vector = orjson.dumps(
        {"object": "list", "data": [{"embedding": "AACAPw==", "index": 0}], "usage": {"prompt_tokens": 4}}
    )
    async with MockServer() as mock, handled(tmp_path, mock, "up") as (gw, handler):
        mock.script("/v1/embeddings", Answer(body=vector))
        client = await Client(path="/v1/embeddings", body={"model": "m", "input": ["a", "b"]})(handler)
        assert client.body == vector
        row = await gw.row()
        assert (row.usage, row.cost_nano, row.surface) == ({"input": 4}, 4000, "embeddings")


@pytest.mark.parametrize(("kind", "told"), [("anthropic", True), ("openai-compatible", False)])
async def test_what_a_caller_says_of_its_dialect_reaches_only_who_speaks_it(
    tmp_path: Path, kind: str, told: bool
) -> None:
    asked = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hello"}]}
    said = {"anthropic_version": "2024-01-01", "anthropic_beta": "one-1,two-2", "openai_beta": "no", "x_other": "no"}
    async with MockServer() as mock, handled(tmp_path, mock) as (gw, handler):
        there = replace(provider(mock.base_url), kind=kind)
        gw.gateway.snapshot = build(8, [route("m", (there, "up"))], [there])
        await Client(path="/v1/messages", body=asked, **said)(handler)
        sent = mock.hits[0].headers
        expected = {"anthropic-version": "2024-01-01", "anthropic-beta": "one-1,two-2"} if told else {}
        assert {name: sent[name] for name in sent if name.startswith(("anthropic-", "openai-", "x-other"))} == expected
        assert [name for name, _ in mock.hits[0].header_lines].count("anthropic-version") == int(told)


async def test_completions_pass_to_who_has_them(tmp_path: Path) -> None:
    told = orjson.dumps(
        {"object": "text_completion", "choices": [{"text": "x", "finish_reason": "stop"}], "usage": USED}
    )
    async with MockServer() as mock, handled(tmp_path, mock, "up") as (gw, handler):
        mock.script("/v1/completions", Answer(body=told))
        client = await Client(path="/v1/completions", body={"model": "m", "prompt": "Hello"})(handler)
        assert client.body == told
        assert (await gw.row()).usage == {"input": 10, "output": 5}


@pytest.mark.parametrize("path", ["/proxy", "/proxy/stream"])
async def test_the_older_api_answers_in_openais_shape(tmp_path: Path, path: str) -> None:
    ask = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
    async with MockServer() as mock, handled(tmp_path, mock) as (gw, handler):
        client = await Client(path=path, body=ask)(handler)
        assert client.status == 200, client.body
        if path == "/proxy":
            assert client.json["choices"][0]["message"]["content"] == "Hello from the"
        else:
            assert client.body.endswith(b"data: [DONE]\n\n")
        assert (await gw.row()).usage == {"input": 12, "output": 3}


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/responses", {"model": "m", "input": "x", "previous_response_id": "r"}, "previous_response_id"),
        ("/v1/embeddings", {"model": "m"}, "input"),
        ("/v1/completions", {"model": "m", "prompt": 3}, "prompt"),
        ("/proxy", {"messages": []}, "messages"),
        ("/proxy", {"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
    ],
)
async def test_what_is_wrong_is_named(tmp_path: Path, path: str, body: dict, param: str) -> None:
    async with MockServer() as mock, handled(tmp_path, mock) as (gw, handler):
        client = await Client(path=path, body=body)(handler)
        assert (client.status, client.json["error"]["param"]) == (400, param)
        assert (await gw.row()).status == "failed"
        assert mock.hits == []
