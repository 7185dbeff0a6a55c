"""Embeddings: what is asked, what OpenAI's client asks, and what is counted."""

from typing import Any

import httpx
import orjson
import pytest
from openai import OpenAI

from accounts.prices import Usage
from proxy.dialects.embeddings import Embeddings
from proxy.errors import BadRequest

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
