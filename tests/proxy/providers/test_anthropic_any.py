"""Whatever callers and Anthropic send: it is translated, or refused with the parameter named; nothing breaks."""

from itertools import pairwise
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import chat as chats
from proxy.errors import BadRequest, StreamCut
from proxy.providers.anthropic import Anthropic, schema
from routing.values import Provider, Target

ANTHROPIC = Anthropic(clock=lambda: 1.0, random_id=lambda: "chatcmpl-made")
PROVIDER = Provider("claude", "anthropic", "https://api.anthropic.com", secret="sk-ant-canary")
MODELS = ("claude-sonnet-4-5", "claude-sonnet-4-6", "claude-opus-5-5", "claude-next", "kimi-k3")
ASKED = chats.parse(b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}')
OF_THE_BODY = {"invalid_unicode", "json_too_deep", "invalid_json", "duplicate_key"}
SENT = frozenset(
    (
        *("model", "max_tokens", "messages", "system", "tools", "tool_choice", "stop_sequences", "stream", "metadata"),
        *("temperature", "top_p", "top_k", "thinking", "output_config", "service_tier", "cache_control"),
    )
)

scalars = st.none() | st.booleans() | st.integers(-5, 2**40) | st.floats(allow_nan=False, allow_infinity=False)
meaningful = st.sampled_from(
    ["", " ", "auto", "none", "required", "ephemeral", "data:image/png;base64,AA==", "https://e.example"]
)
words = st.text(max_size=8) | meaningful
anything = st.recursive(
    scalars | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
odd_words = words | anything
kinds = st.sampled_from(["text", "image_url", "file", "refusal", "input_audio", "function", "json_schema", "x"])


def some(must: dict[str, Any], **may: Any) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(must, optional=may)


file = some({}, file_data=odd_words, filename=odd_words, file_id=odd_words) | anything
mark = st.just({"type": "ephemeral"}) | anything
part = some(
    {"type": kinds | anything},
    text=odd_words,
    refusal=odd_words,
    image_url=some({"url": odd_words}, detail=anything) | anything,
    file=file,
    cache_control=mark,
    prompt_cache_breakpoint=anything,
)
function = some({"name": odd_words}, arguments=odd_words, parameters=anything, strict=anything)
call = some({"id": odd_words, "function": function | anything}, type=kinds)
thought = some({"type": words}, signature=words, thinking=words, data=words)
message = some(
    {
        "role": st.sampled_from(sorted(chats.ROLES)),
        "content": words | st.none() | st.lists(part | anything, max_size=3),
    },
    tool_calls=st.lists(call | anything, max_size=2) | anything,
    tool_call_id=odd_words,
    function_call=function | anything,
    name=odd_words,
    refusal=odd_words,
    thinking_blocks=st.lists(thought, max_size=2),
    reasoning_content=words,
    cache_control=mark,
    odd=anything,
)
tool = some({"type": kinds | anything, "function": function | anything})
requests = some(
    {"model": st.just("m"), "messages": st.lists(message, min_size=1, max_size=4)},
    tools=st.lists(tool | anything, max_size=2) | anything,
    functions=st.lists(function | anything, max_size=2) | anything,
    tool_choice=words | some({"type": kinds, "function": function}) | anything,
    response_format=some({"type": kinds, "json_schema": some({"schema": anything})}),
    reasoning_effort=st.sampled_from(["none", "minimal", "low", "max"]) | anything,
    thinking=some({"type": st.sampled_from(["enabled", "x"]), "budget_tokens": anything}) | anything,
    max_tokens=st.integers(1, 10**9),
    temperature=st.floats(0, 2),
    top_p=st.floats(0, 1),
    cache_control=mark,
    **dict.fromkeys(
        (
            *("function_call", "parallel_tool_calls", "stop", "logprobs", "modalities", "audio", "user", "odd", "seed"),
            *("logit_bias", "top_k", "safety_identifier", "service_tier", "web_search_options"),
        ),
        anything,
    ),
)


@settings(max_examples=300, deadline=None)
@given(requests, st.sampled_from(MODELS))
def test_any_request_is_translated_or_refused_by_name(body: dict[str, Any], model: str) -> None:
    try:
        asked = chats.parse(orjson.dumps(body))
        out = ANTHROPIC.request(asked, Target("m", PROVIDER, model))
    except BadRequest as error:
        assert error.param or error.code in OF_THE_BODY
        return
    sent = orjson.loads(out.body)
    assert set(sent) <= SENT
    assert sent["max_tokens"] >= 1
    assert sent["messages"][0]["role"] == "user"
    assert all(turn["content"] for turn in sent["messages"])
    assert all(one["role"] != other["role"] for one, other in pairwise(sent["messages"]))
    ANTHROPIC.reply({"content": [], "stop_reason": "end_turn"}, asked)
    ANTHROPIC.stream(asked).feed(b"", b'{"type":"message_stop"}')


@settings(max_examples=200, deadline=None)
@given(anything)
def test_any_schema_can_be_rewritten(value: Any) -> None:
    orjson.dumps(schema.strict(value))


told = st.dictionaries(st.sampled_from(["type", "text", "id", "name", "input", "thinking", "signature"]), anything)
answers = some(
    {"content": st.lists(told, max_size=4)}, stop_reason=anything, usage=anything, id=anything, stop_details=anything
)


@settings(max_examples=200, deadline=None)
@given(answers)
def test_any_answer_is_read(body: dict[str, Any]) -> None:
    assert ANTHROPIC.reply(body, ASKED)["choices"][0]["message"]["role"] == "assistant"
    ANTHROPIC.usage(body)


EVENTS = (
    *("message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta"),
    *("message_stop", "ping", "error", "odd"),
)
FIELDS = ("type", "text", "thinking", "partial_json", "id", "name", "input", "usage", "stop_reason")
TYPES = ("text", "tool_use", "thinking", "text_delta", "input_json_delta", "thinking_delta", "signature_delta")
inner = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(TYPES) | anything) | anything
event = some(
    {"type": st.sampled_from(EVENTS) | anything},
    index=st.integers(0, 2) | anything,
    delta=inner,
    content_block=inner,
    message=inner,
    usage=anything,
    error=anything,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(event | anything, max_size=8))
def test_any_stream_is_read(sent: list[Any]) -> None:
    translator = ANTHROPIC.stream(ASKED)
    try:
        for each in sent:
            orjson.dumps(translator.feed(b"", orjson.dumps(each)))
            if translator.ended:
                break
        assert translator.finish() == []
    except StreamCut:
        assert not translator.ended
