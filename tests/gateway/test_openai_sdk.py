"""The real `openai` package, sync and async, through a running gateway to the scripted provider and to the stub."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import openai
import pytest

from tests.gateway.stand import COST, Stand

MODELS = ["mock/ok", "stub"]
HELLO = [{"role": "user", "content": "Hello"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Sync:
    """The blocking client, from a thread."""

    def __init__(self, base_url: str, key: str) -> None:
        self.client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=20)

    async def do(self, call: Callable[[Any], Any]) -> Any:
        return await asyncio.to_thread(call, self.client)

    async def stream(self, **fields: Any) -> list[Any]:
        def read() -> list[Any]:
            with self.client.chat.completions.create(stream=True, **fields) as stream:
                return list(stream)

        return await asyncio.to_thread(read)

    async def close(self) -> None:
        self.client.close()


class Async:
    def __init__(self, base_url: str, key: str) -> None:
        self.client = openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=20)

    async def do(self, call: Callable[[Any], Any]) -> Any:
        return await call(self.client)

    async def stream(self, **fields: Any) -> list[Any]:
        async with await self.client.chat.completions.create(stream=True, **fields) as stream:
            return [chunk async for chunk in stream]

    async def close(self) -> None:
        await self.client.close()


Sdk = Sync | Async


@pytest.fixture(params=[Sync, Async], ids=["sync", "async"])
async def sdk(request: pytest.FixtureRequest, stand: Stand) -> AsyncIterator[Sdk]:
    made: Sdk = request.param(stand.base_url, stand.key)
    yield made
    await made.close()


async def chat(sdk: Sdk, model: str = "mock/ok", messages: Any = None, **fields: Any) -> Any:
    return await sdk.do(lambda c: c.chat.completions.create(model=model, messages=messages or HELLO, **fields))


def text_of(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


async def refused(sdk: Sdk, kind: type[Exception], model: str, **fields: Any) -> Any:
    with pytest.raises(kind) as caught:
        await chat(sdk, model, **fields)
    return caught.value


@pytest.mark.parametrize("model", MODELS)
async def test_a_chat(sdk: Sdk, model: str) -> None:
    answer = await chat(sdk, model)
    assert answer.choices[0].message.content.startswith("Hello from the")
    assert (answer.choices[0].finish_reason, answer.object) == ("stop", "chat.completion")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@pytest.mark.parametrize("model", MODELS)
async def test_a_stream(sdk: Sdk, model: str) -> None:
    chunks = await sdk.stream(model=model, messages=HELLO)
    assert text_of(chunks).startswith("Hello from the")
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)


@pytest.mark.parametrize("model", MODELS)
async def test_a_stream_with_usage_ends_in_a_chunk_that_also_tells_the_cost(sdk: Sdk, model: str) -> None:
    chunks = await sdk.stream(model=model, messages=HELLO, stream_options={"include_usage": True})
    last = chunks[-1]
    assert (last.choices, last.usage.prompt_tokens > 0) == ([], True)
    assert last.cost == ("0.000018000" if model == "mock/ok" else "0.000000000")
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)


@pytest.mark.parametrize("model", ["mock/tool-call", "stub"])
async def test_a_tool_is_called_and_its_result_taken(sdk: Sdk, stand: Stand, model: str) -> None:
    first = await chat(sdk, model, tools=[WEATHER])
    call = first.choices[0].message.tool_calls[0]
    assert (first.choices[0].finish_reason, call.function.name) == ("tool_calls", "get_weather")
    assert list(json.loads(call.function.arguments)) == ["city"]
    turns = [
        *HELLO,
        first.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "18 °C"},
    ]
    second = await chat(sdk, model if model == "stub" else "mock/ok", turns, tools=[WEATHER])
    assert second.choices[0].finish_reason == "stop"
    if model != "stub":
        assert stand.mock.hits[-1].json["messages"] == turns


@pytest.mark.parametrize("model", ["mock/tool-call", "stub"])
async def test_a_tool_call_is_streamed(sdk: Sdk, model: str) -> None:
    chunks = await sdk.stream(model=model, messages=HELLO, tools=[WEATHER])
    calls = [call for chunk in chunks for call in (chunk.choices[0].delta.tool_calls or [])]
    assert [call.function.name for call in calls if call.function.name] == ["get_weather"]
    assert list(json.loads("".join(call.function.arguments or "" for call in calls))) == ["city"]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


async def test_the_models_that_the_key_may_use(sdk: Sdk) -> None:
    if isinstance(sdk, Sync):
        listed = await sdk.do(lambda c: [model.id for model in c.models.list()])
    else:
        listed = [model.id async for model in sdk.client.models.list()]
    assert listed == ["alias", "kept", "second-chance", "stub", "unreachable"]
    one = await sdk.do(lambda c: c.models.retrieve("mock/anything"))
    assert (one.id, one.object, one.owned_by) == ("mock/anything", "model", "mock")


async def test_a_key_that_is_not_valid(sdk: Sdk, stand: Stand) -> None:
    other = type(sdk)(stand.base_url, "sk-ql_nobody")
    error = await refused(other, openai.AuthenticationError, "mock/ok")
    assert (error.status_code, error.code, error.type) == (401, "invalid_api_key", "invalid_request_error")
    with pytest.raises(openai.AuthenticationError):
        await other.do(lambda c: c.models.retrieve("stub"))
    await other.close()


async def test_a_model_that_is_not_there(sdk: Sdk) -> None:
    error = await refused(sdk, openai.NotFoundError, "no-such-model")
    assert (error.code, error.param) == ("model_not_found", "model")
    assert error.request_id == error.response.headers["x-request-id"]
    assert error.response.headers["x-error-origin"] == "gateway"
    with pytest.raises(openai.NotFoundError):
        await sdk.do(lambda c: c.models.retrieve("no-such-model"))


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"temperature": 3}, "invalid_value", "temperature"),
        ({"messages": [{"role": "king", "content": "x"}]}, "invalid_value", "messages[0].role"),
        ({"extra_body": {"api_base": "http://127.0.0.1:1"}}, "unsupported_parameter", "api_base"),
        ({"extra_body": {"stream": "yes"}}, "invalid_type", "stream"),
    ],
)
async def test_a_request_that_is_wrong(sdk: Sdk, stand: Stand, fields: Any, code: str, param: str) -> None:
    error = await refused(sdk, openai.BadRequestError, "mock/ok", **fields)
    assert (error.status_code, error.code, error.param) == (400, code, param)
    assert stand.mock.hits == []


@pytest.mark.parametrize(
    ("model", "kind", "code"),
    [
        ("mock/status-429", openai.RateLimitError, "upstream_rate_limited"),
        ("stub/429", openai.RateLimitError, "upstream_rate_limited"),
        ("mock/status-400", openai.BadRequestError, "invalid_value"),
        ("mock/status-404", openai.NotFoundError, "model_not_found"),
        ("mock/status-401", openai.InternalServerError, "upstream_auth_error"),
        ("mock/status-500", openai.InternalServerError, "upstream_error"),
        ("stub/503", openai.InternalServerError, "upstream_error"),
        ("mock/drop", openai.InternalServerError, "upstream_connection_error"),
    ],
)
async def test_what_the_provider_refuses(sdk: Sdk, model: str, kind: Any, code: str) -> None:
    error = await refused(sdk, kind, model)
    assert error.code == code
    assert error.response.headers["x-error-origin"] == "upstream"
    assert ("retry-after" in error.response.headers) is (error.status_code in {429, 503})


async def test_the_headers_of_a_raw_answer(sdk: Sdk, stand: Stand) -> None:
    raw = await sdk.do(
        lambda c: c.chat.completions.with_raw_response.create(
            model="mock/ok", messages=HELLO, extra_headers={"X-Request-Id": "mine-1"}
        )
    )
    assert raw.parse().choices[0].message.content == "Hello from the"
    headers = raw.headers
    assert (headers["x-request-id"], headers["x-provider"]) == ("mine-1", "mock")
    assert (headers["x-cache"], headers["x-request-cost"]) == ("BYPASS", "0.000018000")
    row = await asyncio.to_thread(stand.row, headers["x-qlite-id"])
    assert (row["client_request_id"], row["status"], row["cost_nano"]) == ("mine-1", "settled", COST)


@pytest.mark.parametrize("model", ["mock/cut-2", "mock/rst-2", "mock/error-event-2", "stub/cut", "stub/error"])
async def test_a_stream_that_is_cut_raises(sdk: Sdk, model: str) -> None:
    with pytest.raises(openai.APIError) as caught:
        await sdk.stream(model=model, messages=HELLO)
    assert not isinstance(caught.value, openai.APIConnectionError)
    assert caught.value.message


@pytest.mark.parametrize("model", ["mock/slice-1", "mock/crlf"])
async def test_a_provider_that_writes_oddly_is_understood(sdk: Sdk, model: str) -> None:
    assert text_of(await sdk.stream(model=model, messages=HELLO)) == "Hello from the"


async def test_an_event_that_is_not_json_is_not_hidden_from_the_caller(sdk: Sdk) -> None:
    with pytest.raises(json.JSONDecodeError):
        await sdk.stream(model="mock/bad-json-1", messages=HELLO)
