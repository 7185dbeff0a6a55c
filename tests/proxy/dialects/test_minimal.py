"""The older minimal API: few parameters, each checked, and OpenAI's answers."""

from typing import Any

import orjson
import pytest

from accounts.prices import Usage
from proxy import chat, sse
from proxy.dialects.minimal import Minimal
from proxy.errors import BadRequest

MINIMAL = Minimal()
USER = {"role": "user", "content": "hi"}


def test_it_says_the_request_in_chat() -> None:
    body = {"messages": [{"role": "system", "content": "Be brief."}, USER], "temperature": 0.5, "max_tokens": 9}
    asked = MINIMAL.parse(orjson.dumps(body), model="standard")
    assert (asked.model, asked.stream) == ("standard", False)
    assert MINIMAL.chat(asked) == body | {"model": "standard"}
    chat.parse(orjson.dumps(MINIMAL.chat(asked)))


def test_the_body_may_name_the_model_and_the_url_says_whether_it_streams() -> None:
    asked = MINIMAL.parse(orjson.dumps({"model": "m", "messages": [USER]}), model="standard", stream=True)
    assert (asked.model, asked.stream) == ("m", True)
    assert MINIMAL.chat(asked) == {"model": "m", "messages": [USER], "stream": True}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": " \n"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": [USER, {"role": "assistant", "content": "hello"}]}, "messages"),
        ({"model": ""}, "model"),
        ({"model": 7}, "model"),
        ({"model": None}, "model"),
        ({"temperature": 3}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"stream": True}, "stream"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {}}, "stream_options"),
        ({"api_base": "https://example.com"}, "api_base"),
    ],
)
def test_it_names_the_parameter_that_is_wrong(change: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        MINIMAL.parse(orjson.dumps({"model": "m", "messages": [USER]} | change))
    assert caught.value.param == param


def test_it_answers_like_openai() -> None:
    asked = MINIMAL.parse(orjson.dumps({"model": "m", "messages": [USER]}), stream=True)
    completion: dict[str, Any] = {"id": "1", "object": "chat.completion", "choices": []}
    assert MINIMAL.reply(completion, asked) is completion
    encoder = MINIMAL.encoder(asked)
    chunk = {"id": "1", "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    assert encoder.feed(chunk) == sse.encode(orjson.dumps(chunk))
    assert encoder.end(Usage(1, output=1), "0.000000001") == (b"", sse.DONE)
