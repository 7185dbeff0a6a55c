"""The kind "gemini" with anything at all: a chat translates or is refused by name, an answer is read or is an error."""

from contextlib import suppress
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy import chat as chats
from proxy.errors import BadRequest, UpstreamError
from proxy.providers.gemini import Gemini
from routing.values import Provider, Target

PROVIDER = Provider("google", "gemini", "https://generativelanguage.googleapis.com")
HELLO = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
PICTURES = ["data:image/png;base64,AA==", "https://e.x/a.png", "http://e.x", ""]
SCHEMA = {"type": "object", "properties": {"a": {"$ref": "#", "title": "t"}}}

json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
parts = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url", "input_audio", "file", "refusal", "odd"])},
    optional={
        "text": st.text(max_size=5) | json,
        "refusal": st.text(max_size=5),
        "image_url": st.fixed_dictionaries({"url": st.sampled_from(PICTURES)}) | json,
        "input_audio": st.fixed_dictionaries({"data": st.just("AA=="), "format": st.sampled_from(["wav", "mp3"])})
        | json,
        "file": st.fixed_dictionaries({"file_data": st.just("data:application/pdf;base64,AA==")}) | json,
    },
)
calls = st.fixed_dictionaries(
    {"id": st.sampled_from(["c1", "c2", "c3"]), "type": st.just("function")},
    optional={
        "function": st.fixed_dictionaries(
            {"name": st.sampled_from(["f", "1 g", ""]), "arguments": st.sampled_from(["", "{}", '{"a":[1]}', "[", "7"])}
        )
        | json,
        "extra_content": json | st.just({"google": {"thought_signature": "c2ln"}}),
    },
)
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"])},
    optional={
        "content": st.none() | st.text(max_size=8) | st.lists(parts | json, max_size=3),
        "tool_calls": st.none() | st.lists(calls, max_size=3),
        "tool_call_id": st.sampled_from(["c1", "c2", "c9"]) | json,
        "refusal": json,
        "name": st.text(max_size=4),
        "extra_content": json,
    },
)
tools = st.fixed_dictionaries(
    {"type": st.sampled_from(["function", "function", "custom"])},
    optional={
        "function": st.fixed_dictionaries(
            {"name": st.sampled_from(["f", "g", "1 g"])},
            optional={"parameters": st.just(SCHEMA) | json},
        )
        | json
    },
)
fields: dict[str, st.SearchStrategy[Any]] = {
    "stop": st.text(max_size=3) | st.lists(st.text(max_size=3), max_size=7) | json,
    "tools": st.lists(tools, max_size=3) | json,
    "tool_choice": st.sampled_from(["auto", "none", "required", {"type": "function", "function": {"name": "f"}}])
    | json,
    "response_format": st.sampled_from([{"type": "json_object"}, {"type": "json_schema", "json_schema": {}}]) | json,
    "reasoning_effort": st.sampled_from(["none", "low", "max"]) | json,
    "logprobs": st.booleans() | json,
    "n": st.integers(1, 3),
    "temperature": st.floats(0, 2),
}
OTHERS = """seed top_k top_logprobs presence_penalty modalities service_tier web_search_options user functions
parallel_tool_calls cached_content metadata audio unheard_of logit_bias"""
others = st.sampled_from(OTHERS.split())
requests = st.builds(
    lambda said, known, more: HELLO | {"messages": said} | more | known,
    st.lists(messages, min_size=1, max_size=5),
    st.fixed_dictionaries({}, optional=fields),
    st.dictionaries(others, json, max_size=3),
)
MODELS = ["gemini-2.5-flash", "gemini-3.5-flash", "gemini-4-argon", "gemini-2.0-flash", "", "someday"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests, st.sampled_from(MODELS))
def test_it_translates_any_chat_or_names_what_it_cannot(body: dict[str, Any], model: str) -> None:
    try:
        chat = chats.parse(orjson.dumps(body))
        out = Gemini().request(chat, Target("m", PROVIDER, model))
    except BadRequest as no:
        assert no.param
        return
    sent = orjson.loads(out.body)
    assert all(turn["parts"] and turn["role"] in {"user", "model"} for turn in sent["contents"])
    assert sent.keys() <= {
        *("contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier", "cachedContent"),
    }


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "candidates": st.lists(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "content": st.fixed_dictionaries({"parts": st.lists(json, max_size=3)}) | json,
                        "finishReason": st.sampled_from(["STOP", "SAFETY", "MALFORMED_FUNCTION_CALL"]) | json,
                        "index": json,
                        "logprobsResult": json,
                    },
                ),
                max_size=3,
            )
            | json,
            "usageMetadata": st.dictionaries(st.sampled_from(["promptTokenCount", "totalTokenCount"]), json) | json,
            "promptFeedback": json,
            "error": json,
        },
    )
)
def test_it_takes_any_answer(body: dict[str, Any]) -> None:
    chat = chats.parse(orjson.dumps(HELLO))
    with suppress(UpstreamError):
        orjson.dumps(Gemini().reply(body, chat))
    stream = Gemini().stream(chat)
    with suppress(UpstreamError):
        orjson.dumps([*stream.feed(b"", orjson.dumps(body)), *stream.finish()])
