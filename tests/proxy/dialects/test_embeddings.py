"""Embeddings: what is asked, what OpenAI's client asks, and what is counted."""

import struct
from base64 import b64decode
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from openai import OpenAI

from accounts.prices import Usage
from proxy.dialects.embeddings import Embeddings
from proxy.errors import BadRequest, UpstreamError
from proxy.providers.gemini import draft, embeddings
from routing.values import Provider, Target
from tests.proxy.native.harness import passing

EMBEDDINGS = Embeddings()
ASK = {"model": "m", "input": "hi"}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"input": ["a", "b"]},
        {"input": [1, 2, 3]},
        {"input": [[1], [2, 3]]},
        {"encoding_format": "base64", "dimensions": 256, "user": "u"},
        {"encoding_format": "float"},
        {"encoding_format": None, "dimensions": None},
        {"input_type": "query", "truncate": "END"},  # of other servers: theirs to judge
    ],
)
def test_it_takes_what_openai_takes(change: dict[str, Any]) -> None:
    raw = orjson.dumps(ASK | change)
    asked = EMBEDDINGS.parse(raw)
    assert (asked.raw, asked.model, asked.stream, asked.operation) == (raw, "m", False, "embeddings")


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": 7}, "input", "invalid_type"),
        ({"input": ""}, "input", "invalid_value"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": ["a", ""]}, "input[1]", "invalid_value"),
        ({"input": ["a", 1]}, "input", "invalid_type"),
        ({"input": [[1], []]}, "input[1]", "invalid_value"),
        ({"input": [[1], ["a"]]}, "input[1]", "invalid_type"),
        ({"input": [1.5]}, "input", "invalid_type"),
        ({"encoding_format": "hex"}, "encoding_format", "invalid_value"),
        ({"dimensions": 0}, "dimensions", "invalid_value"),
        ({"dimensions": "256"}, "dimensions", "invalid_type"),
        ({"stream": True}, "stream", "unsupported_parameter"),
        ({"api_key": "x"}, "api_key", "unsupported_parameter"),
    ],
)
def test_it_names_the_parameter_that_is_wrong(change: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        EMBEDDINGS.parse(orjson.dumps(ASK | change))
    assert (caught.value.param, caught.value.code) == (param, code)


def test_it_says_so_where_there_are_none() -> None:
    with pytest.raises(BadRequest) as caught:
        EMBEDDINGS.chat(EMBEDDINGS.parse(orjson.dumps(ASK)))
    assert (caught.value.param, caught.value.status) == ("model", 400)


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        ({"usage": {"prompt_tokens": 8, "total_tokens": 8}}, Usage(input=8)),
        ({"usage": {"prompt_tokens": -8}}, None),
        ({"usage": None}, None),
        ({}, None),
    ],
)
def test_it_counts_what_went_in(body: dict[str, Any], usage: Usage | None) -> None:
    assert EMBEDDINGS.usage(body) == usage


@pytest.mark.parametrize("given", [{}, {"encoding_format": "float"}, {"dimensions": 2}])
def test_it_understands_openais_client(given: dict[str, Any]) -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(EMBEDDINGS.parse(request.content).body)
        data = [{"object": "embedding", "index": 0, "embedding": "AACAPwAAAEA="}]  # 1.0 and 2.0 as base64 floats
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return httpx.Response(200, json={"object": "list", "data": data, "model": "m", "usage": usage})

    http = httpx.Client(transport=httpx.MockTransport(answer))
    client = OpenAI(api_key="k", base_url="https://x.example/v1", http_client=http)
    client.embeddings.create(model="m", input="hi", **given)
    assert seen[0]["encoding_format"] == given.get("encoding_format", "base64")


# Behind Google's API

GOOGLE = Target("g/m", Provider("g", "gemini", "https://g.example"), "gemini-embedding-001")
SENT = {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "hi"}]}}
ANSWER = {"embeddings": [{"values": [1.0, 2.5]}]}
MODEL = "my-gemini/gemini-embedding-001"


@pytest.mark.parametrize(
    ("change", "requests", "ignored"),
    [
        ({}, [SENT], []),
        ({"input": ["hi", "ho"]}, [SENT, SENT | {"content": {"parts": [{"text": "ho"}]}}], []),
        ({"dimensions": 256, "encoding_format": "base64"}, [SENT | {"outputDimensionality": 256}], []),
        ({"user": "u", "truncate": "END", "x": None}, [SENT], ["truncate", "user"]),
    ],
)
def test_google_is_asked_for_each_text(change: dict[str, Any], requests: list[Any], ignored: list[str]) -> None:
    sketch = draft.begin(GOOGLE, "m")
    assert embeddings.build(ASK | change, sketch) == {"requests": requests}
    assert list(sketch.ignored) == ignored


@pytest.mark.parametrize("given", [[1, 2], [[1], [2]]])
def test_google_knows_nothing_of_openais_tokens(given: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        embeddings.build(ASK | {"input": given}, draft.begin(GOOGLE, "m"))
    assert (caught.value.param, caught.value.code) == ("input", "unsupported_parameter")


def test_googles_answer_becomes_openais() -> None:
    told = embeddings.reply(ANSWER, ASK, "m")
    assert told == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [1.0, 2.5]}],
        "model": "m",
    }
    packed = embeddings.reply(ANSWER, ASK | {"encoding_format": "base64"}, "m")["data"][0]["embedding"]
    assert struct.unpack("<2f", b64decode(packed)) == (1.0, 2.5)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"embeddings": None},
        {"embeddings": []},
        {"embeddings": [{"values": [1.0]}, {"values": [1.0]}]},
        {"embeddings": [{"values": None}]},
        {"embeddings": [{"values": ["1.0"]}]},
        {"embeddings": [{"values": [True]}]},
        {"embeddings": [{"values": [1e300]}]},
    ],
)
def test_what_is_no_embedding_is_an_error_of_the_provider(answer: Any) -> None:
    with pytest.raises(UpstreamError) as caught:
        embeddings.reply(answer, ASK | {"encoding_format": "base64"}, "m")
    assert caught.value.code == "upstream_invalid_response"


async def test_google_embeds_for_openais_clients(tmp_path: Path) -> None:
    async with passing(tmp_path, "gemini") as call:
        call.say(ANSWER)
        client = await call("/v1/embeddings", ASK | {"model": MODEL, "user": "u"})
        assert (client.status, client.headers["x-qlite-ignored"]) == (200, "user")
        assert client.json["model"] == "gemini-embedding-001"
        (hit,) = call.mock.hits
        assert hit.path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
        row = await call.bench.row()
        assert (row.usage_source, row.usage) == ("estimated", {"input": client.json["usage"]["prompt_tokens"]})
        call.say(ANSWER | {"usageMetadata": {"promptTokenCount": 7}})
        again = await call("/v1/embeddings", ASK | {"model": MODEL})
        assert again.json["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
        assert [(row.usage_source, row.usage) for row in await call.bench.rows()][1] == ("provider", {"input": 7})
        call.say({"error": {"code": 400, "message": "Bad.", "status": "INVALID_ARGUMENT"}}, status=400)
        refused = await call("/v1/embeddings", ASK | {"model": MODEL})
        assert (refused.status, refused.json["error"]["message"]) == (400, "Bad.")
        assert (await call("/v1/embeddings", ASK | {"model": MODEL, "input": [1, 2]})).json["error"]["param"] == "input"


async def test_googles_own_clients_embed_by_googles_models(tmp_path: Path) -> None:
    content = {"parts": [{"text": "hi"}]}
    several = {"requests": [{"model": f"models/{MODEL}", "content": content}]}
    async with passing(tmp_path, "gemini", "anthropic") as call:
        call.say(ANSWER | {"usageMetadata": {"promptTokenCount": 7}})
        client = await call(f"/v1beta/models/{MODEL}:batchEmbedContents", several)
        assert client.body == orjson.dumps(ANSWER | {"usageMetadata": {"promptTokenCount": 7}})
        call.say({"embedding": {"values": [1.0]}})
        assert (await call(f"/v1/models/{MODEL}:embedContent", {"content": content})).status == 200
        batch, one = call.mock.hits
        assert (batch.path, batch.json) == (
            "/v1beta/models/gemini-embedding-001:batchEmbedContents",
            {"requests": [{"model": "models/gemini-embedding-001", "content": content}]},
        )
        assert one.path == "/v1beta/models/gemini-embedding-001:embedContent"
        first, second = await call.bench.rows()
        assert (first.usage, first.usage_source) == ({"input": 7}, "provider")
        assert (second.usage, second.usage_source) == ({"input": 1}, "estimated")
        for body in ({}, {"requests": []}):
            missing = await call(f"/v1beta/models/{MODEL}:batchEmbedContents", body)
            assert (missing.status, missing.json["error"]["status"]) == (400, "INVALID_ARGUMENT")
        elsewhere = await call("/v1beta/models/my-anthropic/c:embedContent", {"content": content})
        assert (elsewhere.status, elsewhere.json["error"]["status"]) == (400, "INVALID_ARGUMENT")
        assert len(call.mock.hits) == 2
