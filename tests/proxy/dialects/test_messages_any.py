"""Whatever callers of Messages and providers send: translated, or refused with the parameter named; nothing breaks."""

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.prices import Usage
from proxy import chat as chats
from proxy import sse
from proxy.dialects.messages import Messages
from proxy.errors import BadRequest, StreamCut

MESSAGES = Messages()
ASKED = MESSAGES.parse(b'{"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}')
OF_THE_BODY = {"invalid_unicode", "json_too_deep", "invalid_json", "duplicate_key"}

scalars = st.none() | st.booleans() | st.integers(-5, 2**40) | st.floats(allow_nan=False, allow_infinity=False)
words = st.text(max_size=8) | st.sampled_from(
    ["", "base64", "url", "text", "auto", "any", "none", "json_schema", "low"]
)
anything = st.recursive(
    scalars | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
odd_words = words | anything
TYPES = ("text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking", "search_result", "x")


def some(must: dict[str, Any], **may: Any) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(must, optional=may)


source = some({"type": odd_words}, media_type=odd_words, data=odd_words, url=odd_words, content=anything)
block = st.deferred(
    lambda: some(
        {"type": st.sampled_from(TYPES) | anything},
        text=odd_words,
        source=source | anything,
        title=odd_words,
        id=odd_words,
        name=odd_words,
        input=st.dictionaries(words, anything, max_size=2) | anything,
        tool_use_id=odd_words,
        is_error=anything,
        thinking=odd_words,
        signature=odd_words,
        content=st.lists(block, max_size=2) | anything,
        extra_content=anything,
        cache_control=anything,
    )
)
content = words | st.lists(block | anything, max_size=3)
message = some({"role": st.sampled_from(["user", "assistant", "system"]), "content": content})
tool = some({"name": odd_words, "input_schema": st.just({}) | anything}, type=odd_words, description=odd_words)
config = some({}, effort=odd_words, format=some({"type": odd_words, "schema": anything}) | anything)
requests = some(
    {"model": st.just("m"), "max_tokens": st.integers(0, 9), "messages": st.lists(message, min_size=1, max_size=4)},
    system=content | anything,
    tools=st.lists(tool | anything, max_size=2) | anything,
    tool_choice=some({"type": odd_words}, name=odd_words, disable_parallel_tool_use=anything) | anything,
    thinking=some({"type": st.just("enabled")}, budget_tokens=anything) | anything,
    output_config=config | anything,
    metadata=some({}, user_id=odd_words),
    **dict.fromkeys(
        (
            *("temperature", "top_p", "top_k", "stop_sequences", "stream", "service_tier", "output_format"),
            *("container", "context_management", "odd"),
        ),
        anything,
    ),
)


@settings(max_examples=300, deadline=None)
@given(requests)
def test_any_request_is_translated_or_refused_by_name(body: dict[str, Any]) -> None:
    try:
        asked = MESSAGES.parse(orjson.dumps(body))
        chat = MESSAGES.chat(asked)
    except BadRequest as error:
        assert error.code in OF_THE_BODY or (error.param and error.param in error.message)
        return
    again = chats.parse(orjson.dumps(chat))
    assert (again.model, again.stream) == (asked.model, asked.stream)
    assert isinstance(MESSAGES.ignored(asked), tuple)


function = some({}, name=odd_words, arguments=odd_words) | anything
call = some({}, index=st.integers(0, 2) | anything, id=odd_words, function=function, extra_content=anything) | anything
thoughts = st.lists(some({"type": st.sampled_from(["thinking", "redacted_thinking"])}, thinking=words, data=words))
said = some(
    {},
    role=anything,
    content=odd_words,
    refusal=odd_words,
    reasoning_content=odd_words,
    thinking_blocks=thoughts | anything,
    tool_calls=st.lists(call, max_size=2) | anything,
    function_call=function,
)
choices = st.lists(some({}, index=anything, message=said, delta=said, finish_reason=odd_words) | anything, max_size=2)
completions = some({}, id=odd_words, model=odd_words, choices=choices | anything, usage=anything)


@settings(max_examples=300, deadline=None)
@given(completions)
def test_any_completion_is_a_message(completion: dict[str, Any]) -> None:
    message = MESSAGES.reply(completion, ASKED)
    assert message["type"] == "message"
    orjson.dumps(message)


@settings(max_examples=300, deadline=None)
@given(st.lists(completions, max_size=5))
def test_any_chunks_are_a_stream_of_whole_blocks(chunks: list[dict[str, Any]]) -> None:
    encoder, out = MESSAGES.encoder(ASKED), b""
    try:
        for chunk in chunks:
            out += encoder.feed(chunk)
        out += b"".join(encoder.end(Usage(input=1), "0.000000000"))
    except StreamCut as cut:
        out += encoder.error(cut)
    events = [orjson.loads(sse.data_of(event) or b"") for event in sse.events(out)]
    kinds = [event["type"] for event in events]
    assert kinds[0] in ("message_start", "error")
    assert kinds[-1] in ("message_stop", "error")
    if kinds[-1] == "message_stop":
        assert kinds.count("content_block_start") == kinds.count("content_block_stop")
