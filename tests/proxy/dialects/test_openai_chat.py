"""OpenAI's chat as a caller's dialect: nothing changes on the way, and a stream that passes is read rightly."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from openai.types.chat import ChatCompletionChunk

from accounts.prices import Usage
from proxy import sse
from proxy.dialects.openai_chat import OpenAIChat, usage_object
from proxy.errors import BadRequest
from proxy.providers.openai import parse_usage
from tests.proxy.dialects.golden import cases, expected, load, named
from tests.proxy.dialects.streaming import streamed, watched

CHAT = OpenAIChat()
ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "odd": 1.0}


def test_it_changes_nothing() -> None:
    raw = orjson.dumps(ASK)
    asked = CHAT.parse(raw)
    assert (asked.raw, asked.model, asked.stream, asked.operation) == (raw, "m", False, "chat")
    assert CHAT.chat(asked) == ASK
    completion: dict[str, Any] = {"id": "1", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    assert CHAT.reply(completion, asked) is completion
    assert CHAT.usage(completion) == Usage(input=3, output=2)
    assert CHAT.error(BadRequest("No.", param="n"), "id")["error"]["param"] == "n"


def test_it_checks_as_chat_is_checked() -> None:
    with pytest.raises(BadRequest) as caught:
        CHAT.parse(orjson.dumps(ASK | {"n": 0}))
    assert caught.value.param == "n"


@pytest.mark.parametrize("path", cases("openai", "stream"), ids=named)
def test_it_tells_a_stream(path: Path) -> None:
    told = streamed(CHAT, load(path))
    assert told == expected(path, ".expected.sse")
    for event in sse.events(told):
        data = sse.data_of(event)
        if data and data != b"[DONE]" and b'"error"' not in data:
            ChatCompletionChunk.model_validate_json(data)


@pytest.mark.parametrize("path", cases("openai", "native", suffix=".sse"), ids=named)
def test_it_sees_how_a_stream_ends(path: Path) -> None:
    raw, told = path.read_bytes(), expected(path)
    if told["error"]:
        told["error"]["code"] = told["error"]["code"] or "stream_interrupted"
    for cut in range(len(raw) + 1):
        assert watched(CHAT, raw[:cut], raw[cut:]) == told, cut
    assert watched(CHAT, *(raw[place : place + 1] for place in range(len(raw)))) == told


def test_it_reads_next_to_nothing_of_a_long_answer() -> None:
    chunk = {
        "choices": [{"index": 0, "delta": {"content": "an error, in usage"}, "finish_reason": None}],
        "usage": None,
    }
    assert not CHAT.watcher().interesting(sse.encode(orjson.dumps(chunk)))


@pytest.mark.parametrize("usage", [Usage(10, 5, 2, 7, 3, 4, 1), Usage(input=1, cache_write=9)])
def test_usage_comes_back_as_it_went_out(usage: Usage) -> None:
    assert parse_usage(usage_object(usage)) == usage
