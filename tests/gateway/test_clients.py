"""The real clients of four makers against every kind of provider: plain, streamed, a tool's round trip, an error."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI

from loadtest.mockserver import MockServer
from tests.gateway import wires
from tests.gateway.conftest import Furnished
from tests.gateway.stand import Stand

KINDS = ("openai-compatible", "anthropic", "gemini")
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TABLE = """\
providers:
  - {{name: p-openai, kind: openai-compatible, base_url: "http://127.0.0.1:{port}/v1", credential: sk-a}}
  - {{name: p-anthropic, kind: anthropic, base_url: "http://127.0.0.1:{port}", credential: sk-b}}
  - {{name: p-gemini, kind: gemini, base_url: "http://127.0.0.1:{port}", credential: sk-c}}
routes:
  - {{name: on-openai-compatible, cache_ttl: 0, targets: [{{provider: p-openai, model: m-1}}]}}
  - {{name: on-anthropic, cache_ttl: 0, targets: [{{provider: p-anthropic, model: claude-x}}]}}
  - {{name: on-gemini, cache_ttl: 0, targets: [{{provider: p-gemini, model: gemini-x}}]}}
"""


class Caller(Protocol):
    """One maker's client. What it cannot do raises the client's own exception."""

    def plain(self, model: str) -> str: ...
    def streamed(self, model: str) -> str: ...
    def tool(self, model: str) -> tuple[str, dict[str, Any], str]: ...
    def error(self, model: str) -> int: ...
    def close(self) -> None: ...


class OpenAI:
    def __init__(self, stand: Stand) -> None:
        self.client = openai.OpenAI(api_key=stand.key, base_url=stand.base_url, max_retries=0)

    def ask(self, model: str, messages: list[Any] | None = None, **more: Any) -> Any:
        return self.client.chat.completions.create(
            model=model, messages=messages or [{"role": "user", "content": "Hello"}], **more
        )

    def plain(self, model: str) -> str:
        answer = self.ask(model)
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == wires.USED
        assert answer.choices[0].finish_reason == "stop"
        return str(answer.choices[0].message.content)

    def streamed(self, model: str) -> str:
        chunks = list(self.ask(model, stream=True, stream_options={"include_usage": True}))
        assert chunks[-1].usage.total_tokens == sum(wires.USED)
        return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)

    def tool(self, model: str) -> tuple[str, dict[str, Any], str]:
        tools = [{"type": "function", "function": {"name": wires.TOOL, "parameters": SCHEMA}}]
        said: list[Any] = [{"role": "user", "content": "Weather?"}]
        message = self.ask(model, said, tools=tools).choices[0].message
        call = message.tool_calls[0]
        said += [message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
        told = self.ask(model, said, tools=tools).choices[0].message.content
        return call.function.name, _json(call.function.arguments), told

    def error(self, model: str) -> int:
        with pytest.raises(openai.BadRequestError) as caught:
            self.ask(model)
        assert caught.value.code == "context_length_exceeded"
        return caught.value.status_code

    def close(self) -> None:
        self.client.close()


class Responses(OpenAI):
    """The same client's other API."""

    def plain(self, model: str) -> str:
        answer = self.client.responses.create(model=model, input="Hello")
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == wires.USED
        return answer.output_text

    def streamed(self, model: str) -> str:
        text = ""
        with self.client.responses.stream(model=model, input="Hello") as stream:
            for event in stream:
                text += event.delta if event.type == "response.output_text.delta" else ""
            assert stream.get_final_response().usage.total_tokens == sum(wires.USED)
        return text

    def tool(self, model: str) -> tuple[str, dict[str, Any], str]:
        tools: Any = [{"type": "function", "name": wires.TOOL, "parameters": SCHEMA, "strict": False}]
        said: list[Any] = [{"role": "user", "content": "Weather?"}]
        answer = self.client.responses.create(model=model, input=said, tools=tools)
        call = next(item for item in answer.output if item.type == "function_call")
        said += [call.model_dump(exclude_none=True)]
        said += [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}]
        told = self.client.responses.create(model=model, input=said, tools=tools).output_text
        return call.name, _json(call.arguments), told

    def error(self, model: str) -> int:
        with pytest.raises(openai.BadRequestError) as caught:
            self.client.responses.create(model=model, input="Hello")
        return caught.value.status_code


class LangChain:
    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.made: list[ChatOpenAI] = []

    def model(self, name: str) -> ChatOpenAI:
        self.made.append(ChatOpenAI(model=name, api_key=self.stand.key, base_url=self.stand.base_url, max_retries=0))
        return self.made[-1]

    def close(self) -> None:
        for model in self.made:
            model.root_client.close()

    def plain(self, model: str) -> str:
        answer = self.model(model).invoke("Hello")
        assert answer.usage_metadata["total_tokens"] == sum(wires.USED)
        return str(answer.content)

    def streamed(self, model: str) -> str:
        return "".join(str(chunk.content) for chunk in self.model(model).stream("Hello"))

    def tool(self, model: str) -> tuple[str, dict[str, Any], str]:
        tool = {"type": "function", "function": {"name": wires.TOOL, "parameters": SCHEMA}}
        bound = self.model(model).bind_tools([tool])
        asked = bound.invoke([HumanMessage("Weather?")])
        call = asked.tool_calls[0]
        told = bound.invoke([HumanMessage("Weather?"), asked, ToolMessage("sunny", tool_call_id=call["id"])])
        return call["name"], call["args"], str(told.content)

    def error(self, model: str) -> int:
        with pytest.raises(openai.BadRequestError) as caught:
            self.model(model).invoke("Hello")
        return caught.value.status_code


class Anthropic:
    def __init__(self, stand: Stand) -> None:
        self.client = anthropic.Anthropic(api_key=stand.key, base_url=stand.base_url.removesuffix("/v1"), max_retries=0)

    def ask(self, model: str, messages: list[Any] | None = None, **more: Any) -> Any:
        said = messages or [{"role": "user", "content": "Hello"}]
        return self.client.messages.create(model=model, max_tokens=100, messages=said, **more)

    def plain(self, model: str) -> str:
        answer = self.ask(model)
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == wires.USED
        assert answer.stop_reason == "end_turn"
        return str(answer.content[0].text)

    def streamed(self, model: str) -> str:
        said: Any = [{"role": "user", "content": "Hello"}]
        with self.client.messages.stream(model=model, max_tokens=100, messages=said) as stream:
            text = "".join(stream.text_stream)
            assert stream.get_final_message().usage.output_tokens == wires.USED[1]
        return text

    def tool(self, model: str) -> tuple[str, dict[str, Any], str]:
        tools = [{"name": wires.TOOL, "input_schema": SCHEMA}]
        said: list[Any] = [{"role": "user", "content": "Weather?"}]
        answer = self.ask(model, said, tools=tools)
        call = next(block for block in answer.content if block.type == "tool_use")
        said += [{"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]}]
        said += [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}]}]
        return call.name, call.input, self.ask(model, said, tools=tools).content[0].text

    def error(self, model: str) -> int:
        with pytest.raises(anthropic.BadRequestError) as caught:
            self.ask(model)
        assert caught.value.body["error"]["type"] == "invalid_request_error"
        return caught.value.status_code

    def close(self) -> None:
        self.client.close()


class Google:
    def __init__(self, stand: Stand) -> None:
        options = genai_types.HttpOptions(base_url=stand.base_url.removesuffix("/v1"))
        self.client = genai.Client(api_key=stand.key, http_options=options)

    def plain(self, model: str) -> str:
        answer = self.client.models.generate_content(model=model, contents="Hello")
        assert answer.usage_metadata.prompt_token_count == wires.USED[0]
        return str(answer.text)

    def streamed(self, model: str) -> str:
        chunks = list(self.client.models.generate_content_stream(model=model, contents="Hello"))
        assert chunks[-1].usage_metadata.total_token_count == sum(wires.USED)
        return "".join(chunk.text or "" for chunk in chunks)

    def tool(self, model: str) -> tuple[str, dict[str, Any], str]:
        declared = genai_types.FunctionDeclaration(name=wires.TOOL, parameters_json_schema=SCHEMA)
        config = genai_types.GenerateContentConfig(tools=[genai_types.Tool(function_declarations=[declared])])
        said: list[Any] = [genai_types.Content(role="user", parts=[genai_types.Part(text="Weather?")])]
        answer = self.client.models.generate_content(model=model, contents=said, config=config)
        call = answer.function_calls[0]
        result = genai_types.FunctionResponse(id=call.id, name=call.name, response={"weather": "sunny"})
        said += [answer.candidates[0].content]
        said += [genai_types.Content(role="user", parts=[genai_types.Part(function_response=result)])]
        told = self.client.models.generate_content(model=model, contents=said, config=config).text
        return call.name, call.args, told

    def error(self, model: str) -> int:
        with pytest.raises(genai_errors.ClientError) as caught:
            self.client.models.generate_content(model=model, contents="Hello")
        assert caught.value.status == "INVALID_ARGUMENT"
        return caught.value.code

    def close(self) -> None:
        self.client.close()


def _json(text: str) -> Any:
    return json.loads(text)


CALLERS = {
    "openai": OpenAI,
    "responses": Responses,
    "langchain": LangChain,
    "anthropic": Anthropic,
    "google-genai": Google,
}


@pytest.fixture(scope="module")
def stand(furnished: Furnished, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    home, keys, mock = furnished
    moved = home.moved(tmp_path_factory.mktemp("clients") / "data")
    table = moved.folder / "clients.yaml"
    table.write_text(TABLE.format(port=mock.port))
    moved.run("import", str(table))
    stand = Stand(moved, keys, mock)
    try:
        yield stand
        assert stand.stop() == 0
        assert "The ledger is sound" in stand.verify()
    finally:
        stand.kill()


@pytest.fixture(scope="module", params=CALLERS)
def caller(request: pytest.FixtureRequest, stand: Stand) -> Iterator[Caller]:
    made: Caller = CALLERS[request.param](stand)
    yield made
    made.close()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def mock(stand: Stand) -> MockServer:
    return stand.mock


def test_a_plain_answer(caller: Caller, kind: str, mock: MockServer) -> None:
    wires.serve(mock, kind, "text")
    assert caller.plain(f"on-{kind}") == wires.TEXT


def test_a_streamed_answer(caller: Caller, kind: str, mock: MockServer) -> None:
    wires.serve(mock, kind, "text")
    assert caller.streamed(f"on-{kind}") == wires.TEXT


def test_a_tools_round_trip(caller: Caller, kind: str, mock: MockServer) -> None:
    wires.serve(mock, kind, "tool")
    assert caller.tool(f"on-{kind}") == (wires.TOOL, {"city": "Paris"}, wires.TEXT)


def test_googles_client_calls_functions_by_itself_in_a_stream(stand: Stand, kind: str, mock: MockServer) -> None:
    """Its history keeps each chunk as a content of its own."""

    def get_weather(city: str) -> str:
        """Return the weather of a city."""
        return f"sunny in {city}"

    wires.serve(mock, kind, "tool")
    with closing(Google(stand)) as caller:
        chat = caller.client.chats.create(model=f"on-{kind}", config={"tools": [get_weather]})
        assert "".join(chunk.text or "" for chunk in chat.send_message_stream("Weather?")) == wires.TEXT
        assert chat.send_message("And now?").text == wires.TEXT


def test_an_error(caller: Caller, kind: str, mock: MockServer) -> None:
    wires.serve(mock, kind, "error")
    assert caller.error(f"on-{kind}") == 400


def test_every_client_sees_the_models(stand: Stand) -> None:
    with closing(OpenAI(stand)) as one, closing(Anthropic(stand)) as two, closing(Google(stand)) as three:
        names = {model.id for model in one.client.models.list()}
        assert {f"on-{kind}" for kind in KINDS} <= names
        assert names == {model.id for model in two.client.models.list()}
        assert names == {str(model.name).removeprefix("models/") for model in three.client.models.list()}
        first = two.client.models.list(limit=2)
        assert (len(first.data), first.has_more) == (2, True)
        assert [model.id for model in first] == [model.id for model in two.client.models.list()]
        paged = three.client.models.list(config={"page_size": 2})
        assert paged.page_size == len(paged.page) == 2
        assert names == {str(model.name).removeprefix("models/") for model in paged}


def test_tokens_are_counted_for_callers_whose_target_counts_none(stand: Stand) -> None:
    said: Any = [{"role": "user", "content": "How many tokens are these?"}]
    with closing(Anthropic(stand)) as one, closing(Google(stand)) as two:
        counted = one.client.messages.count_tokens(model="on-openai-compatible", messages=said)
        assert counted.input_tokens > 5
        assert two.client.models.count_tokens(model="on-openai-compatible", contents="How many?").total_tokens > 3


def test_every_call_is_in_the_ledger_with_its_surface(stand: Stand, tmp_path: Path) -> None:
    rows = list(stand.rows())
    assert {"chat", "responses", "messages", "gemini"} <= {row["surface"] for row in rows}
    answered = [row for row in rows if row["status"] == "settled" and row["attempts"]]
    # What the gateway counted itself may have reached the ledger by now, or not yet.
    assert all(row["usage_source"] == "provider" for row in answered if row["attempts"][0]["provider"] != "qlite")
