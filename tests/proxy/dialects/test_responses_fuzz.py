"""Whatever a caller asks and whatever a provider tells: a chat request, a refusal that names a parameter, an answer."""

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.prices import Usage
from proxy import chat, sse
from proxy.dialects.base import Asked, Dialect
from proxy.dialects.completions import Completions
from proxy.dialects.minimal import Minimal
from proxy.dialects.openai_chat import OpenAIChat
from proxy.dialects.responses import Responses
from proxy.errors import BadRequest, StreamCut

many = settings(max_examples=150, deadline=None)
DIALECTS = [Responses(), Completions(), Minimal(), OpenAIChat()]

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.sampled_from(["a", "get_weather", "f" * 80, "ns"])
ids = st.sampled_from(["call_1", "call_2", "call_3"])
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


def objects(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=members)


def some(kind: str, **members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(kind)} | members)


parts = st.one_of(
    some("input_text", text=words),
    some("output_text", text=words),
    some("refusal", refusal=words),
    some("input_image", image_url=st.just("https://example.com/a.png"), detail=st.sampled_from(["auto", "original"])),
    some("input_image", file_id=words),
    some("input_file", file_data=words, filename=words),
    some("input_file", file_url=words),
)
content = words | st.lists(parts, max_size=3)
functions = some("function", name=names, parameters=st.just({"type": "object"}), strict=st.booleans() | st.none())
customs = some("custom", name=names, format=st.just({"type": "grammar", "syntax": "lark", "definition": "start: A"}))
tools = st.one_of(
    functions,
    customs,
    some("namespace", name=names, description=words, tools=st.lists(functions | customs, max_size=2)),
    some("tool_search", execution=st.sampled_from(["client", "server"]), parameters=st.just({"type": "object"})),
    some("web_search", external_web_access=st.booleans()),
    some("file_search", vector_store_ids=st.just(["vs_1"])),
)
items = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system", "developer"]), "content": content}),
    some("message", role=st.sampled_from(["user", "assistant", "developer"]), content=content),
    some("function_call", call_id=ids, name=names, arguments=words, namespace=st.none() | names),
    some("custom_tool_call", call_id=ids, name=names, input=words),
    some("tool_search_call", call_id=ids, arguments=anything, execution=st.just("client")),
    some("function_call_output", call_id=ids, output=content),
    some("custom_tool_call_output", call_id=ids, output=content),
    some("tool_search_output", call_id=ids, tools=st.lists(tools, max_size=2)),
    some("additional_tools", role=st.just("developer"), tools=st.lists(tools, max_size=2)),
    some("reasoning", summary=st.lists(some("summary_text", text=words), max_size=2), encrypted_content=words),
    some("web_search_call", status=st.just("completed")),
)
said = items.filter(lambda item: item.get("type") in {None, "message", "reasoning"})
called = items.filter(lambda item: str(item.get("type")).endswith("_call") and "call_id" in item)


def conversation(steps: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Let every call in a step be answered at the step's end."""
    whole: list[dict[str, Any]] = []
    for step in steps:
        outputs = []
        for item in step:
            if "call_id" in item:
                item = item | {"call_id": f"call_{len(whole)}_{len(outputs)}"}
                outputs.append({"type": "function_call_output", "call_id": item["call_id"], "output": "done"})
            whole.append(item)
        whole += outputs
    return whole


conversations = st.lists(st.lists(said | called, max_size=4), max_size=3).map(conversation)
requests = st.fixed_dictionaries(
    {"model": st.just("m"), "input": words | conversations | st.lists(items, max_size=4)},
    optional={
        "instructions": words,
        "tools": st.lists(tools, max_size=3),
        "tool_choice": st.sampled_from(["auto", "none", "required", {"type": "function", "name": "a"}]),
        "stream": st.booleans(),
        "temperature": st.floats(0, 2),
        "max_output_tokens": st.integers(1, 100),
        "top_logprobs": st.integers(0, 20),
        "parallel_tool_calls": st.booleans(),
        "reasoning": objects(effort=st.sampled_from(["low", "max", None]), summary=st.sampled_from(["auto", None])),
        "text": objects(verbosity=st.sampled_from(["low", "medium"]), format=st.just({"type": "json_object"})),
        "metadata": st.dictionaries(names, words, max_size=2),
        "include": st.just(["reasoning.encrypted_content"]),
        "store": st.booleans(),
        "previous_response_id": st.none() | words,
    },
)


@many
@given(requests)
def test_it_says_in_chat_whatever_is_asked_or_names_what_it_cannot_say(body: dict[str, Any]) -> None:
    try:
        asked = Responses().parse(orjson.dumps(body))
        inner = Responses().chat(asked)
    except BadRequest as refusal:
        assert refusal.param and refusal.status == 400
        return
    chat.parse(orjson.dumps(inner))
    assert all(isinstance(name, str) for name in Responses().ignored(asked))
    _each_call_is_answered(inner["messages"])


def _each_call_is_answered(messages: list[dict[str, Any]]) -> None:
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            assert message["tool_call_id"] == waiting.pop(0)
        else:
            assert not waiting
            waiting = [call["id"] for call in message.get("tool_calls", [])]
    assert not waiting


@many
@given(requests, st.sampled_from(["input", "tools", "text", "reasoning", "tool_choice", "include"]), anything)
def test_it_never_stumbles_over_what_stands_where(body: dict[str, Any], place: str, odd: Any) -> None:
    body = body | {place: odd}
    _refused_or_told(Responses(), orjson.dumps(body))


@many
@given(st.data(), st.sampled_from(DIALECTS))
def test_no_dialect_stumbles_over_any_json(data: st.DataObject, dialect: Dialect) -> None:
    known = {"model": st.just("m") | anything, "messages": anything, "input": anything, "prompt": anything}
    more = dict.fromkeys(("n", "stream", "stream_options", "echo", "logprobs", "best_of", "tools"), anything)
    body = data.draw(st.fixed_dictionaries({}, optional=known | more) | anything)
    _refused_or_told(dialect, orjson.dumps(body))


@many
@given(requests, st.lists(items, min_size=1, max_size=3), anything, words)
def test_it_never_stumbles_over_an_odd_item(body: dict[str, Any], found: list[Any], odd: Any, name: str) -> None:
    found[0] = found[0] | {name: odd} if isinstance(found[0], dict) else odd
    for member in list(found[0]):
        _refused_or_told(Responses(), orjson.dumps(body | {"input": [found[0] | {member: odd}, *found[1:]]}))


def _refused_or_told(dialect: Dialect, raw: bytes) -> None:
    try:
        asked = dialect.parse(raw)
    except BadRequest as refusal:
        assert dialect.error(refusal, "r")["error"]["code"]
        return
    dialect.encoder(asked).error(StreamCut("cut"))
    if isinstance(dialect, Responses):
        dialect.ignored(asked)
        dialect.as_native(asked)
    try:
        dialect.chat(asked)
    except BadRequest as refusal:
        assert refusal.param


calls = objects(
    index=st.integers(0, 3) | anything, id=ids | anything, function=objects(name=names, arguments=words | anything)
)
messages = objects(
    role=st.just("assistant"),
    content=words | anything,
    refusal=words | st.none(),
    reasoning_content=words | anything,
    thinking_blocks=st.lists(objects(type=st.just("thinking"), thinking=words, signature=words), max_size=2) | anything,
    tool_calls=st.lists(calls, max_size=3) | anything,
    annotations=anything,
)
choices = objects(
    index=st.just(0) | anything,
    message=messages | anything,
    delta=messages | anything,
    logprobs=objects(content=st.lists(objects(token=words, logprob=st.just(-1.5), top_logprobs=anything), max_size=2)),
    finish_reason=st.sampled_from(["stop", "length", "tool_calls", "content_filter", None]) | anything,
)
answers = objects(
    id=words | anything,
    created=st.integers(0, 10**9) | anything,
    model=words | anything,
    choices=st.lists(choices | anything, max_size=2) | anything,
    usage=objects(prompt_tokens=st.integers(0, 9), completion_tokens=st.integers(0, 9)) | anything,
)
ASKED = {
    "responses": {"model": "m", "input": "hi", "tools": [{"type": "custom", "name": "a"}]},
    "completions": {"model": "m", "prompt": "hi", "echo": True, "stream_options": {"include_usage": True}},
    "minimal": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "openai": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
}


def asked_of(dialect: Dialect) -> Asked:
    body = ASKED[dialect.name]
    return dialect.parse(orjson.dumps(body | {"stream": True} if dialect.name == "completions" else body))


@many
@given(answers, st.sampled_from(DIALECTS))
def test_it_tells_whatever_a_provider_answers(answer: dict[str, Any], dialect: Dialect) -> None:
    asked = asked_of(dialect)
    orjson.dumps(dialect.reply(answer, asked))
    dialect.usage(answer)


@many
@given(st.lists(answers, max_size=4), st.sampled_from(DIALECTS), st.none() | st.just(Usage(input=3, output=2)))
def test_it_tells_whatever_a_provider_streams(
    chunks: list[dict[str, Any]], dialect: Dialect, usage: Usage | None
) -> None:
    encoder = dialect.encoder(asked_of(dialect))
    told = b"".join(encoder.feed(chunk) for chunk in chunks)
    before, after = encoder.end(usage, "0.000000001")
    for event in sse.events(told + before + after):
        data = sse.data_of(event)
        assert data == b"[DONE]" or isinstance(orjson.loads(data or b""), dict)
    assert after


@many
@given(st.binary(max_size=60), st.sampled_from(DIALECTS))
def test_a_watcher_reads_any_bytes(data: bytes, dialect: Dialect) -> None:
    watcher = dialect.watcher()
    for name in (b"", b"error", b"response.completed", b"\xff"):
        watcher.interesting(data)
        watcher.feed(name, data)
    assert watcher.complete() in {True, False}
