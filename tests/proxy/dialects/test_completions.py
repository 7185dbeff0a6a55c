"""Legacy completions against golden files, and against the types of OpenAI's own SDK."""

from pathlib import Path

import httpx
import orjson
import pytest
from openai import OpenAI
from openai.types import Completion

from accounts.prices import Usage
from proxy import chat, sse
from proxy.dialects.completions import Completions
from proxy.errors import BadRequest
from tests.proxy.dialects.golden import cases, expected, load, named
from tests.proxy.dialects.streaming import streamed

COMPLETIONS = Completions()


@pytest.mark.parametrize("path", cases("completions", "request"), ids=named)
def test_it_says_the_request_in_chat(path: Path) -> None:
    told = expected(path)
    if "error" in told:
        with pytest.raises(BadRequest) as caught:
            COMPLETIONS.chat(COMPLETIONS.parse(path.read_bytes()))
        said = {"param": caught.value.param, "code": caught.value.code, "message": caught.value.message}
        assert said == told["error"]
        return
    inner = COMPLETIONS.chat(COMPLETIONS.parse(path.read_bytes()))
    assert inner == told["chat"]
    chat.parse(orjson.dumps(inner))


@pytest.mark.parametrize("path", cases("completions", "reply"), ids=named)
def test_it_tells_an_answer(path: Path) -> None:
    case = load(path)
    told = COMPLETIONS.reply(case["completion"], COMPLETIONS.parse(orjson.dumps(case["asked"])))
    assert told == expected(path)
    Completion.model_validate(told)


@pytest.mark.parametrize("path", cases("completions", "stream"), ids=named)
def test_it_tells_a_stream(path: Path) -> None:
    assert streamed(COMPLETIONS, load(path)) == expected(path, ".expected.sse")


@pytest.mark.parametrize("prompt", [[1, 2], [[1], [2, 3]], ["a", "b"], "", [""]])
def test_it_takes_natively_what_chat_could_not(prompt: object) -> None:
    asked = COMPLETIONS.parse(orjson.dumps({"model": "m", "prompt": prompt, "suffix": "x", "best_of": 3}))
    assert (asked.model, asked.stream, asked.operation) == ("m", False, "chat")


def test_openais_client_reads_it() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        asked = COMPLETIONS.parse(request.content)
        encoder = COMPLETIONS.encoder(asked)
        choices = [{"index": 0, "delta": {"content": text}, "finish_reason": None} for text in ("Hel", "lo")]
        told = [encoder.feed({"id": "chatcmpl-1", "created": 1, "model": "up", "choices": [each]}) for each in choices]
        before, after = encoder.end(Usage(input=3, output=2), "0.000000007")
        body = b"".join([*told, before, sse.comment("x-request-cost=0.000000007"), after])
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    http = httpx.Client(transport=httpx.MockTransport(answer))
    client = OpenAI(api_key="k", base_url="https://x.example/v1", http_client=http)
    options = {"include_usage": True}
    told = list(client.completions.create(model="m", prompt="Once", stream=True, stream_options=options))
    assert "".join(choice.text for chunk in told for choice in chunk.choices) == "Hello"
    assert told[-1].usage is not None and told[-1].usage.total_tokens == 5
    assert told[-1].cost == "0.000000007"
