"""Every surface at every kind of provider, translated and passing: answers and chunks are what their makers publish."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from loadtest.mockserver import Answer
from loadtest.upstream.hit import Hit
from proxy import sse
from tests.gateway import schemas, wires
from tests.gateway.conftest import Furnished
from tests.gateway.stand import Got, Stand

LIKE_OPENAI = ("openai", "groq", "azure-openai", "openai-compatible")
KINDS = (*LIKE_OPENAI, "anthropic", "gemini", "stub")
ENDS = {"anthropic": "", "gemini": "", "azure-openai": "?api-version=2024-10-21"}
PROVIDER = '  - {{name: p-{kind}, kind: {kind}, base_url: "http://127.0.0.1:{port}{end}", credential: sk-a}}\n'
ROUTE = "  - {{name: on-{kind}, cache_ttl: 0, targets: [{{provider: {provider}, model: m-1}}]}}\n"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
HELLO = [{"role": "user", "content": "Hello"}]
TOOLS: dict[str, Any] = {
    "chat": [{"type": "function", "function": {"name": wires.TOOL, "parameters": PARAMETERS}}],
    "responses": [{"type": "function", "name": wires.TOOL, "parameters": PARAMETERS, "strict": False}],
    "messages": [{"name": wires.TOOL, "input_schema": PARAMETERS}],
    "gemini": [{"functionDeclarations": [{"name": wires.TOOL, "parameters": PARAMETERS}]}],
}


def table(port: int) -> str:
    places = "".join(PROVIDER.format(kind=kind, port=port, end=ENDS.get(kind, "/v1")) for kind in KINDS[:-1])
    named = [(kind, "stub" if kind == "stub" else f"p-{kind}") for kind in KINDS]
    routes = "".join(ROUTE.format(kind=kind, provider=provider) for kind, provider in named)
    return f"providers:\n{places}routes:\n{routes}"


@pytest.fixture(scope="module")
def stand(furnished: Furnished, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    home, keys, mock = furnished
    moved = home.moved(tmp_path_factory.mktemp("schema") / "data")
    file = moved.folder / "schema.yaml"
    file.write_text(table(mock.port))
    moved.run("import", str(file))
    stand = Stand(moved, keys, mock)
    try:
        yield stand
        assert stand.stop() == 0
    finally:
        stand.kill()


def answering(stand: Stand, kind: str, what: str) -> None:
    """Let the provider answer in its own dialect, whichever of its endpoints is called."""
    if kind not in LIKE_OPENAI:
        return wires.serve(stand.mock, kind, what) if kind != "stub" else None
    return stand.mock.script("*", lambda hit: own(hit, what))


def own(hit: Hit, what: str) -> Answer:
    if "/chat/" in hit.path or what == "error":
        return wires.openai(hit, what)
    return wires.responses(hit, what) if "/responses" in hit.path else wires.others(hit)


def events(got: Got) -> list[Any]:
    """The data of a stream's events, `[DONE]` left out."""
    found = [sse.data_of(event) for event in sse.events(got.body)]
    return [json.loads(data) for data in found if data and data != b"[DONE]"]


def valid(schema: Draft202012Validator, *values: Any) -> None:
    assert values
    for value in values:
        faults = [f"{'/'.join(map(str, fault.path))}: {fault.message}" for fault in schema.iter_errors(value)]
        assert not faults, (faults, value)


@pytest.mark.parametrize("what", ["text", "tool"])
@pytest.mark.parametrize("kind", KINDS)
def test_chat(stand: Stand, kind: str, what: str) -> None:
    answering(stand, kind, what)
    body = {"model": f"on-{kind}", "messages": HELLO} | ({"tools": TOOLS["chat"]} if what == "tool" else {})
    valid(schemas.CHAT, stand.call(body=body).json)
    told = events(stand.call(body=body | {"stream": True}))
    valid(schemas.CHAT_CHUNK, *told)
    assert all(chunk["choices"] for chunk in told)
    told = events(stand.call(body=body | {"stream": True, "stream_options": {"include_usage": True}}))
    valid(schemas.CHAT_CHUNK, *told)
    assert (told[-1]["choices"], bool(told[-1]["usage"])) == ([], True)
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in told}) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_completions(stand: Stand, kind: str) -> None:
    answering(stand, kind, "text")
    body = {"model": f"on-{kind}", "prompt": "Hello", "max_tokens": 9}
    valid(schemas.COMPLETION, stand.call(target="/v1/completions", body=body).json)
    told = events(stand.call(target="/v1/completions", body=body | {"stream": True}))
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in told if chunk["choices"]]
    assert (set(reasons[:-1]) <= {None}, reasons[-1]) == (True, "stop")
    for chunk in told:  # what is published says a reason is in each; what OpenAI sends says null before the last
        for choice in chunk["choices"]:
            choice["finish_reason"] = choice["finish_reason"] or "stop"
    valid(schemas.COMPLETION, *told)


@pytest.mark.parametrize("what", ["text", "tool"])
@pytest.mark.parametrize("kind", KINDS)
def test_responses(stand: Stand, kind: str, what: str) -> None:
    answering(stand, kind, what)
    body = {"model": f"on-{kind}", "input": "Hello"} | ({"tools": TOOLS["responses"]} if what == "tool" else {})
    valid(schemas.RESPONSE, stand.call(target="/v1/responses", body=body).json)
    told = events(stand.call(target="/v1/responses", body=body | {"stream": True}))
    valid(schemas.RESPONSE_EVENT, *told)
    assert (told[0]["type"], told[-1]["type"]) == ("response.created", "response.completed")
    assert [event["sequence_number"] for event in told] == list(range(len(told)))


@pytest.mark.parametrize("kind", ["openai", "azure-openai", "openai-compatible"])
def test_embeddings(stand: Stand, kind: str) -> None:
    answering(stand, kind, "text")
    body = {"model": f"on-{kind}", "input": "Hello"}
    valid(schemas.EMBEDDINGS, stand.call(target="/v1/embeddings", body=body).json)


@pytest.mark.parametrize("kind", KINDS)
def test_the_older_api(stand: Stand, kind: str) -> None:
    answering(stand, kind, "text")
    body = {"model": f"on-{kind}", "messages": HELLO}
    valid(schemas.CHAT, stand.call(target="/proxy", body=body).json)
    valid(schemas.CHAT_CHUNK, *events(stand.call(target="/proxy/stream", body=body)))


@pytest.mark.parametrize("what", ["text", "tool"])
@pytest.mark.parametrize("kind", KINDS)
def test_messages(stand: Stand, kind: str, what: str) -> None:
    answering(stand, kind, what)
    body = {"model": f"on-{kind}", "messages": HELLO, "max_tokens": 99}
    body |= {"tools": TOOLS["messages"]} if what == "tool" else {}
    valid(schemas.MESSAGE, stand.call(target="/v1/messages", body=body).json)
    told = events(stand.call(target="/v1/messages", body=body | {"stream": True}))
    valid(schemas.MESSAGE_EVENT, *(event for event in told if event["type"] != "ping"))
    assert (told[0]["type"], told[-1]["type"]) == ("message_start", "message_stop")


@pytest.mark.parametrize("what", ["text", "tool"])
@pytest.mark.parametrize("kind", KINDS)
def test_gemini(stand: Stand, kind: str, what: str) -> None:
    answering(stand, kind, what)
    body: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    body |= {"tools": TOOLS["gemini"]} if what == "tool" else {}
    schemas.generated(stand.call(target=f"/v1beta/models/on-{kind}:generateContent", body=body).body)
    told = stand.call(target=f"/v1beta/models/on-{kind}:streamGenerateContent?alt=sse", body=body)
    assert told.status == 200
    for event in events(told):
        event.pop("cost", None)  # ours: the dialect's clients bear no comments, so the cost is in the last event
        schemas.generated(json.dumps(event))


def test_models(stand: Stand) -> None:
    listed = stand.call("GET", "/v1/models").json
    valid(schemas.MODELS, listed)
    valid(schemas.MODEL, stand.call("GET", "/v1/models/on-openai").json)
    assert {f"on-{kind}" for kind in KINDS} <= {each["id"] for each in listed["data"]}


FAULTS = ({"model": "nobody"}, {"max_tokens": 0, "max_output_tokens": 0}, {"stream": "yes"}, {})
OPENAI_SURFACES = {
    "/v1/chat/completions": {"messages": HELLO},
    "/v1/completions": {"prompt": "Hello"},
    "/v1/responses": {"input": "Hello"},
    "/proxy": {"messages": HELLO},
}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("target", OPENAI_SURFACES)
@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini"])
def test_errors(stand: Stand, kind: str, target: str, fault: Any) -> None:
    answering(stand, kind, "error")
    got = stand.call(target=target, body={"model": f"on-{kind}"} | OPENAI_SURFACES[target] | fault)
    assert 400 <= got.status < 500
    valid(schemas.OPENAI_ERROR, got.json)


def test_an_excerpt_that_lacks_something_is_seen(tmp_path: Path) -> None:
    """The schemas would notice: each of these lacks a member or has one of another type."""
    good = {"id": "a", "object": "chat.completion", "created": 1, "model": "m", "choices": []}
    valid(schemas.CHAT, good)
    message = {"role": "assistant", "content": "x"}
    choices = {"choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]}
    for bad in ({"created": "1"}, {"object": "x"}, choices, {"usage": {"prompt_tokens": "1"}}):
        assert list(schemas.CHAT.iter_errors(good | bad)), bad
    assert list(schemas.RESPONSE.iter_errors({"id": "r", "object": "response"}))
    assert list(schemas.OPENAI_ERROR.iter_errors({"error": {"message": "m", "type": "t", "param": None}}))
