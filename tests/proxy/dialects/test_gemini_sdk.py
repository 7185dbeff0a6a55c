"""What Google's own client makes of our answers, and what we make of its requests."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

genai = pytest.importorskip("google.genai")
from google.genai import errors, types  # noqa: E402

from accounts.prices import Usage  # noqa: E402
from proxy.dialects.base import Asked  # noqa: E402
from proxy.dialects.gemini import GeminiCaller  # noqa: E402
from proxy.errors import StreamCut, UpstreamError  # noqa: E402

GOLDEN = Path(__file__).parents[2] / "golden" / "gemini-caller"
CALLER = GeminiCaller()
Answer = Callable[[httpx.Request], httpx.Response]


class Gateway:
    """Answers Google's client as it is told to."""

    def __init__(self) -> None:
        self.answer: Answer = lambda request: httpx.Response(500)
        options = types.HttpOptions(
            base_url="http://gateway.example",
            client_args={"transport": httpx.MockTransport(lambda request: self.answer(request))},
            retry_options=types.HttpRetryOptions(attempts=1),
        )
        self.client = genai.Client(api_key="sk-ql_test", http_options=options)


@cache
def gateway() -> Gateway:
    return Gateway()  # making a client takes long


def models(answer: Answer) -> Any:
    gateway().answer = answer
    return gateway().client.models


def answering(body: bytes, status: int = 200, kind: str = "application/json") -> Any:
    return models(lambda request: httpx.Response(status, headers={"content-type": kind}, content=body))


def streamed(body: bytes) -> Iterator[Any]:
    yield from answering(body, kind="text/event-stream").generate_content_stream(model="m", contents="x")


def asked_by(**config: Any) -> Asked:
    """What the client sends, as the dialect reads it."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    contents = config.pop("contents", "Hello")
    models(answer).generate_content(
        model="gpt-x", contents=contents, config=types.GenerateContentConfig(**config) if config else None
    )
    [request] = seen
    model = request.url.path.rpartition("/")[2].removesuffix(":generateContent")
    return CALLER.parse(request.content, model=model)


@pytest.mark.parametrize("path", sorted((GOLDEN / "reply").glob("*.expected.json")), ids=lambda path: path.stem)
def test_the_client_takes_every_answer(path: Path) -> None:
    told = orjson.loads(path.read_bytes())
    answer = answering(path.read_bytes()).generate_content(model="m", contents="x")
    assert len(answer.candidates or []) == len(told["candidates"])
    for got, wanted in zip(answer.candidates or [], told["candidates"], strict=True):
        assert got.finish_reason.name == wanted["finishReason"]
        assert len(got.content.parts) == len(wanted["content"]["parts"])
    if "usageMetadata" in told:
        assert answer.usage_metadata.total_token_count == told["usageMetadata"]["totalTokenCount"]


@pytest.mark.parametrize(
    "path",
    [path for path in sorted((GOLDEN / "stream").glob("*.expected.sse")) if "error" not in path.name],
    ids=lambda path: path.stem,
)
def test_the_client_takes_every_stream(path: Path) -> None:
    *_, last = streamed(path.read_bytes())
    assert all(candidate.finish_reason for candidate in last.candidates)


def test_the_client_raises_an_error_out_of_a_stream() -> None:
    encoder = CALLER.encoder(Asked(b"", {}, "m", True))
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hel"}}]}
    body = encoder.feed(chunk) + encoder.error(StreamCut("The provider broke off.", status=502))
    chunks = streamed(body)
    assert next(chunks).text == "Hel"
    with pytest.raises(errors.ServerError) as raised:
        next(chunks)
    assert (raised.value.code, raised.value.status) == (502, "UNAVAILABLE")


def test_the_client_cannot_take_comments() -> None:
    """Why the encoder says so: the day this fails, comments may go to Gemini's callers too."""
    encoder = CALLER.encoder(Asked(b"", {}, "m", True))
    assert not encoder.comments
    with pytest.raises(errors.UnknownApiResponseError):
        list(streamed(encoder.end(Usage(), "0.000000000")[1] + b": ping\n\n"))


def test_the_client_knows_our_errors() -> None:
    error = UpstreamError("busy", status=429, code="upstream_rate_limited", retry_after=3)
    with pytest.raises(errors.ClientError) as raised:
        answering(orjson.dumps(CALLER.error(error, "r")), 429).generate_content(model="m", contents="x")
    assert (raised.value.code, raised.value.status, raised.value.message) == (429, "RESOURCE_EXHAUSTED", "busy")


def test_the_client_reads_a_count() -> None:
    answer = answering(orjson.dumps(CALLER.counted(7)))
    assert answer.count_tokens(model="m", contents="x").total_tokens == 7


def test_it_reads_what_the_client_configures() -> None:
    asked = asked_by(
        system_instruction="Be brief.",
        temperature=0.1,
        max_output_tokens=9,
        stop_sequences=["END"],
        response_mime_type="application/json",
        response_schema={"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}},
        thinking_config=types.ThinkingConfig(thinking_level="LOW", include_thoughts=True),
        safety_settings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    )
    assert CALLER.chat(asked) == {
        "model": "gpt-x",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        "temperature": 0.1,
        "max_completion_tokens": 9,
        "stop": ["END"],
        "reasoning_effort": "low",
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "answer",
                "schema": {"type": "object", "properties": {"a": {"type": ["string", "null"]}}},
            },
        },
    }
    assert CALLER.ignored(asked) == ("safetySettings",)


def test_it_reads_pictures_as_the_client_writes_them() -> None:
    picture = types.Part.from_bytes(data=b"\xfb\xff\xfe", mime_type="image/png")
    [message] = CALLER.chat(asked_by(contents=[picture, "What?"]))["messages"]
    assert message["content"][0] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,+//+"}}


def test_it_goes_through_a_round_of_tools_with_the_client() -> None:
    def get_weather(city: str) -> str:
        """Return the weather of a city."""
        return f"cold in {city}"

    requests: list[dict[str, Any]] = []
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "assistant", "content": "It is cold."},
    ]

    def answer(request: httpx.Request) -> httpx.Response:
        asked = CALLER.parse(request.content, model="gpt-x")
        requests.append(CALLER.chat(asked))
        message = messages[len(requests) - 1]
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if len(requests) == 1 else "stop"}
        return httpx.Response(200, json=CALLER.reply({"id": "c", "model": "gpt-x", "choices": [choice]}, asked))

    config = types.GenerateContentConfig(tools=[get_weather])
    told = models(answer).generate_content(model="gpt-x", contents="Weather?", config=config)
    assert told.text == "It is cold."
    [tool] = requests[0]["tools"]
    assert tool["function"]["name"] == "get_weather"
    assert tool["function"]["parameters"]["properties"]["city"]["type"] == "string"
    assert requests[1]["messages"] == [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "cold in Oslo"},
    ]
