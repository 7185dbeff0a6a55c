"""OpenAI's own client on both ends: what it asks is understood, and what it is told, it understands. No network."""

from typing import Any

import httpx
import pytest
from openai import APIError, OpenAI
from pydantic import BaseModel

from accounts.prices import Usage
from proxy import sse
from proxy.dialects.responses import Responses
from proxy.errors import StreamCut

RESPONSES = Responses()
Json = dict[str, Any]
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather now",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Rome"}'}}


class Gateway:
    """Answers as the gateway would if a provider of chat said `deltas`, streamed or not."""

    def __init__(self, *answers: list[Json], cut: bool = False, reason: str = "stop") -> None:
        self.chats: list[Json] = []
        self._answers, self._cut, self._reason = list(answers), cut, reason

    def client(self) -> OpenAI:
        transport = httpx.MockTransport(self.answer)
        return OpenAI(api_key="k", base_url="https://x.example/v1", http_client=httpx.Client(transport=transport))

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/responses"
        asked = RESPONSES.parse(request.content)
        self.chats.append(RESPONSES.chat(asked))
        deltas = self._answers.pop(0)
        shape = {"id": "chatcmpl-1", "created": 1795000000, "model": "up"}
        if not asked.stream:
            message = {"role": "assistant"} | {name: value for delta in deltas for name, value in delta.items()}
            choice = {"index": 0, "message": message, "finish_reason": self._reason}
            usage = {"prompt_tokens": 3, "completion_tokens": 2}
            return httpx.Response(200, json=RESPONSES.reply(shape | {"choices": [choice], "usage": usage}, asked))
        encoder = RESPONSES.encoder(asked)
        told = [encoder.feed(shape | {"choices": [{"index": 0, "delta": delta}]}) for delta in deltas]
        told.append(encoder.feed(shape | {"choices": [{"index": 0, "delta": {}, "finish_reason": self._reason}]}))
        if self._cut:
            told.append(encoder.error(StreamCut("The provider broke off the stream.")))
        else:
            before, after = encoder.end(Usage(input=3, output=2), "0.000000007")
            told += [before, sse.comment("x-request-cost=0.000000007"), after]
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=b"".join(told))


def test_it_answers_a_plain_question() -> None:
    gateway = Gateway([{"content": "Hello."}])
    answer = gateway.client().responses.create(model="m", input="hi", instructions="Be brief.", max_output_tokens=20)
    assert (answer.output_text, answer.status, answer.model) == ("Hello.", "completed", "up")
    assert answer.usage is not None and answer.usage.total_tokens == 5
    assert gateway.chats == [
        {
            "model": "m",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
            "max_completion_tokens": 20,
        }
    ]


def test_it_streams_with_the_helper() -> None:
    gateway = Gateway([{"reasoning_content": "Hm."}, {"content": "Hel"}, {"content": "lo."}])
    with gateway.client().responses.stream(model="m", input="hi") as stream:
        told = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert told == ["Hel", "lo."]
    assert final.output_text == "Hello."
    assert final.output[0].type == "reasoning" and final.output[0].summary[0].text == "Hm."


@pytest.mark.parametrize("streams", [False, True])
def test_it_takes_a_tools_answer_back(streams: bool) -> None:
    gateway = Gateway([{"tool_calls": [CALL | {"index": 0}]}], [{"content": "18C"}])
    client = gateway.client()

    def ask(given: Any) -> Any:
        if not streams:
            return client.responses.create(model="m", input=given, tools=[WEATHER], store=False)
        with client.responses.stream(model="m", input=given, tools=[WEATHER], store=False) as stream:
            return stream.get_final_response()

    history: list[Any] = [{"role": "user", "content": "weather?"}]
    first = ask(history)
    call = first.output[0]
    assert (call.type, call.name, call.call_id) == ("function_call", "get_weather", "call_1")
    history += [*first.output, {"type": "function_call_output", "call_id": call.call_id, "output": "18C"}]
    assert ask(history).output_text == "18C"
    assert gateway.chats[1]["messages"] == [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "18C"},
    ]


class City(BaseModel):
    name: str
    people: int


@pytest.mark.parametrize("streams", [False, True])
def test_it_gives_structured_answers(streams: bool) -> None:
    gateway = Gateway([{"content": '{"name":"Rome","people":3}'}])
    responses = gateway.client().responses
    if streams:
        with responses.stream(model="m", input="hi", text_format=City) as stream:
            answer = stream.get_final_response()
    else:
        answer = responses.parse(model="m", input="hi", text_format=City)
    assert answer.output_parsed == City(name="Rome", people=3)
    form = gateway.chats[0]["response_format"]
    assert form["json_schema"]["name"] == "City" and form["json_schema"]["strict"] is True


def test_a_cut_stream_is_an_error() -> None:
    gateway = Gateway([{"content": "Hel"}], cut=True)
    told = []
    with pytest.raises(APIError, match="broke off") as caught:
        told.extend(event.type for event in gateway.client().responses.create(model="m", input="hi", stream=True))
    assert caught.value.code == "stream_interrupted"
    assert "response.completed" not in told and "response.output_text.delta" in told


PICTURE = {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"}
ASKED: dict[str, Json] = {
    "image": {"input": [{"role": "user", "content": [PICTURE]}]},
    "effort": {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]},
    "custom": {"tools": [{"type": "custom", "name": "note"}]},
    "choice": {"tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False},
    "sampling": {"temperature": 0.5, "top_p": 0.5, "max_output_tokens": 99},
    "labels": {"user": "u", "metadata": {"a": "b"}, "truncation": "disabled", "service_tier": "auto"},
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_it_understands_what_the_client_can_say(ask: Json) -> None:
    gateway = Gateway([{"content": "ok"}])
    assert gateway.client().responses.create(**({"model": "m", "input": "x"} | ask)).output_text == "ok"


@pytest.mark.parametrize(("reason", "told"), [("content_filter", "content_filter"), ("length", "max_output_tokens")])
def test_an_answer_that_came_to_nothing_is_not_read_as_the_json_that_was_asked_for(reason: str, told: str) -> None:
    """A filter kept it back, or all went into thoughts that nobody shows."""
    client = Gateway([{}], [{}], reason=reason).client()
    whole = client.responses.parse(model="m", input="Where?", text_format=City)
    assert whole.output_parsed is None
    with client.responses.stream(model="m", input="Where?", text_format=City) as stream:
        last = list(stream)[-1]
    assert last.type == "response.incomplete"
    for answer in (whole, last.response):
        assert answer.status == "incomplete"
        assert answer.incomplete_details is not None and answer.incomplete_details.reason == told
        assert [item.type for item in answer.output] == ["message"]
