"""Embeddings for Gemini's clients by models behind OpenAI's dialect."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.dialects.base import Asked
from proxy.dialects.gemini import GeminiCaller, embedding
from proxy.errors import BadRequest, UpstreamError
from tests.proxy.native.harness import passing

CONTENT = {"parts": [{"text": "hi"}]}
MODEL = "my-openai/text-embedding-3-small"
DATA = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]


def one(**fields: Any) -> Asked:
    return GeminiCaller().parse(orjson.dumps({"content": CONTENT} | fields), model="m", operation="embeddings")


def several(*requests: dict[str, Any]) -> Asked:
    return GeminiCaller().parse(orjson.dumps({"requests": requests}), model="m", operation="batch_embeddings")


@pytest.mark.parametrize(
    ("asked", "body", "ignored"),
    [
        (one(), {"input": ["hi"]}, ()),
        (one(outputDimensionality=8, taskType="RETRIEVAL_QUERY"), {"input": ["hi"], "dimensions": 8}, ("taskType",)),
        (one(content={"parts": [{"text": "a"}, {"text": "b"}]}, output_dimensionality=8), {"dimensions": 8}, ()),
        (
            several({"content": CONTENT}, {"content": CONTENT, "title": "t"}),
            {"input": ["hi", "hi"]},
            ("requests.title",),
        ),
    ],
)
def test_each_content_is_an_input(asked: Asked, body: dict[str, Any], ignored: tuple[str, ...]) -> None:
    told, left_out = embedding.request(asked)
    assert told | body == told
    assert (told["model"], told["encoding_format"], left_out) == ("m", "float", ignored)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (one(content={"parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]}), "content.parts[0]"),
        (one(content={"parts": []}), "content.parts"),
        (one(content={"parts": [{"text": 1}]}), "content.parts[0].text"),
        (one(outputDimensionality="8"), "outputDimensionality"),
        (several({"content": CONTENT}, {"model": "models/m"}), "requests[1].content"),
        (
            several({"content": CONTENT}, {"content": CONTENT, "outputDimensionality": 8}),
            "requests[].outputDimensionality",
        ),
    ],
)
def test_what_openai_cannot_embed_is_refused_by_name(asked: Asked, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        embedding.request(asked)
    assert caught.value.param == param


@pytest.mark.parametrize(
    "data",
    [None, [], DATA, [{"embedding": ["x"]}], [{"index": 1, "embedding": [1]}], [{"index": "0", "embedding": []}]],
)
def test_what_is_no_embedding_is_an_error_of_the_provider(data: Any) -> None:
    with pytest.raises(UpstreamError) as caught:
        embedding.reply({"data": data}, one())
    assert caught.value.code == "upstream_invalid_response"


async def test_openais_models_embed_for_googles_clients(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai", "groq") as call:
        call.say({"data": DATA, "usage": {"prompt_tokens": 6, "total_tokens": 6}})
        path = f"/v1beta/models/{MODEL}:batchEmbedContents"
        client = await call(path, {"requests": [{"content": CONTENT, "taskType": "T"}, {"content": CONTENT}]})
        used = {"promptTokenCount": 6, "totalTokenCount": 6}
        assert client.json == {"embeddings": [{"values": [1.0]}, {"values": [2.0]}], "usageMetadata": used}
        assert client.headers["x-qlite-ignored"] == "requests.taskType"
        (hit,) = call.mock.hits
        assert (hit.path, hit.json["model"]) == ("/v1/embeddings", "text-embedding-3-small")
        row = await call.bench.row()
        assert (row.usage, row.usage_source) == ({"input": 6}, "provider")
        call.say({"data": [{"embedding": [1.0]}]})
        single = await call(f"/v1/models/{MODEL}:embedContent", {"content": CONTENT})
        assert single.json["embedding"] == {"values": [1.0]}
        assert single.json["usageMetadata"]["promptTokenCount"] > 0
        refused = await call("/v1beta/models/my-groq/x:embedContent", {"content": CONTENT})
        assert (refused.status, refused.json["error"]["status"]) == (400, "INVALID_ARGUMENT")
