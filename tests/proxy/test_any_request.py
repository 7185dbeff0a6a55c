"""Whatever OpenAI's types allow, asked of every kind: it is sent on, or refused by the name of what is wrong."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import httpx
import orjson
import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming as MessageParams
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming as ResponseParams
from typing_extensions import get_type_hints

from proxy.dialects.base import Dialect
from proxy.dialects.messages import Messages
from proxy.dialects.responses import Responses
from proxy.errors import GatewayError
from proxy.providers.stub import Words
from proxy.transport import Outbound
from proxy.upstream import Upstream
from routing.values import Provider
from tests.proxy import chats
from tests.proxy.harness import TIMEOUTS, Bench, bench, read, route

# Faults of the JSON itself, which have no parameter to name.
OF_THE_BODY = frozenset({"invalid_json", "json_too_deep", "invalid_number", "invalid_unicode", "duplicate_key"})
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
CHAT = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}]}
CHUNK = {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]}
SAID = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "stop_reason": "end_turn"}
SAID |= {"content": [{"type": "text", "text": "x"}], "usage": {"input_tokens": 1, "output_tokens": 1}}  # type: ignore
MADE = {"candidates": [{"content": {"role": "model", "parts": [{"text": "x"}]}, "finishReason": "STOP"}]}
PLAIN = {"openai": CHAT | {"usage": USAGE}, "anthropic": SAID, "gemini": MADE}
BEGUN = {"type": "message_start", "message": SAID | {"content": [], "stop_reason": None}}
ENDED = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}
STREAMED: dict[str, list[Any]] = {
    "openai": [CHUNK, {"choices": [], "usage": USAGE}],
    "anthropic": [BEGUN, ENDED, {"type": "message_stop"}],
    "gemini": [MADE],
}
SERVED = {
    "openai": ["gpt-5.6"],
    "azure-openai": ["deployment"],
    "groq": ["openai/gpt-oss-120b"],
    "openai-compatible": ["llama3.3:70b"],
    "anthropic": ["claude-haiku-4-5", "claude-opus-4-6", "claude-opus-4-7", "claude-sonnet-5", "claude-opus-5-5", "x"],
    "gemini": ["gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-pro", "gemini-4-argon", "x"],
    "stub": ["stub"],
}
thorough = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


class Answering(httpx.AsyncBaseTransport):
    """A provider that answers whatever it is asked, and checks that it is JSON."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self.heard: list[bytes] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request, Outbound)
        self.heard.append(request.content)
        body = orjson.loads(request.content)
        if body.get("stream") or "stream" in str(request.url):
            events = [b"data: " + orjson.dumps(each) + b"\n\n" for each in STREAMED[self._dialect]]
            return httpx.Response(200, stream=Words([*events, b"data: [DONE]\n\n"], 0))
        return httpx.Response(200, stream=Words([orjson.dumps(PLAIN[self._dialect])], 0))


@dataclass
class Asked:
    """A gateway whose routes lead to each model of one kind, on a loop that outlives the examples."""

    kind: str
    runner: asyncio.Runner
    gw: Bench
    provider: Answering

    def __call__(self, body: dict[str, Any], dialect: Dialect | None = None) -> GatewayError | bytes:
        return self.runner.run(self._ask(chats.raw(body), dialect))

    async def _ask(self, raw: bytes, dialect: Dialect | None) -> GatewayError | bytes:
        self.provider.heard.clear()
        try:
            reply = await self.gw.ask(raw, dialect=dialect)
            said = await read(reply) if reply.stream is not None else reply.body
        except GatewayError as error:
            said = error  # type: ignore[assignment]
        while self.gw.gateway.tasks:
            await asyncio.wait(self.gw.gateway.tasks)
        journal = self.gw.gateway.journal
        rows = journal.ready(10)
        journal.forget([id for id, _ in rows])
        assert (len(rows), journal.in_flight()) == (1, 0)
        return said


@pytest.fixture(scope="module", params=sorted(SERVED))
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    kind: str = request.param
    place = Provider("up", kind, "" if kind == "stub" else "https://up.example/v1", secret="sk-canary")
    routes = [route(f"m{n}", (place, served)) for n, served in enumerate(SERVED[kind])]
    provider = Answering(kind if kind in PLAIN else "openai")
    with asyncio.Runner() as runner:
        opened = bench(tmp_path_factory.mktemp("any"), routes)
        gw = runner.run(opened.__aenter__())
        if kind != "stub":
            gw.gateway.upstream = Upstream(TIMEOUTS, max_response_bytes=10**6, transports={kind: provider})
        yield Asked(kind, runner, gw, provider)
        runner.run(opened.__aexit__(None, None, None))


@thorough
@given(body=chats.requests, kept=st.frozensets(st.sampled_from(chats.names()), max_size=4), data=st.data())
def test_any_request_is_sent_on_or_refused_by_name(
    asked: Asked, body: dict[str, Any], kept: frozenset[str], data: st.DataObject
) -> None:
    body = chats.few(body, kept) | {"model": f"m{data.draw(st.integers(0, len(SERVED[asked.kind]) - 1))}"}
    body |= {"stream": True} if asked.kind != "stub" and data.draw(st.booleans()) else {}
    said = asked(body)
    if isinstance(said, GatewayError):
        assert said.status == 400, said.message
        assert said.param or said.code in OF_THE_BODY, said.message
        assert said.param is None or said.param.partition(".")[0].partition("[")[0] in {*body, "stream_options"}, (
            said.param
        )
        assert not asked.provider.heard
    else:
        assert said
        assert asked.kind == "stub" or len(asked.provider.heard) == 1


@thorough
@given(body=chats.requests)
def test_any_request_with_all_its_members_is_too(asked: Asked, body: dict[str, Any]) -> None:
    said = asked(body | {"model": "m0"})
    if isinstance(said, GatewayError):
        assert (said.status, bool(said.param) or said.code in OF_THE_BODY) == (400, True), said.message


_MESSAGES, _INPUT = (get_type_hints(kind, include_extras=True) for kind in (MessageParams, ResponseParams))
turn = chats.of(get_args(get_args(_MESSAGES["messages"])[0])[0])
OTHERS: dict[str, tuple[Dialect, st.SearchStrategy[dict[str, Any]]]] = {
    "messages": (
        Messages(),
        chats.asked(MessageParams, messages=st.lists(turn, min_size=1, max_size=4), max_tokens=st.integers(1, 9999)),
    ),
    "responses": (Responses(), chats.asked(ResponseParams, input=chats.of(_INPUT["input"]))),
}


@settings(thorough, max_examples=100)
@given(data=st.data())
@pytest.mark.parametrize("surface", OTHERS)
def test_any_request_of_another_api_is_sent_on_or_refused(asked: Asked, surface: str, data: st.DataObject) -> None:
    dialect, requests = OTHERS[surface]
    model = f"m{data.draw(st.integers(0, len(SERVED[asked.kind]) - 1))}"
    said = asked(data.draw(requests) | {"model": model}, dialect)
    if isinstance(said, GatewayError):
        assert said.status == 400, said.message
        assert said.param or said.code in OF_THE_BODY, said.message
    else:
        assert json.loads(said)


PARTS = ["text", "image_url", "input_audio", "file", "refusal", "function", "custom", "json_schema", "allowed_tools"]


@pytest.mark.parametrize("part", PARTS)
def test_the_types_are_read_as_deep_as_they_are(part: str) -> None:
    enough = settings(
        max_examples=5000, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
    )
    assert find(chats.requests, lambda body: f'"type": "{part}"' in json.dumps(body), settings=enough)
