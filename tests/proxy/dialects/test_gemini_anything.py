"""The dialect of Gemini's callers with anything at all: a request translates or is refused by name, answers go out."""

from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy import chat as chats
from proxy.dialects.gemini import GeminiCaller
from proxy.errors import BadRequest

CALLER = GeminiCaller()
HELLO = CALLER.parse(b'{"contents":[{"parts":[{"text":"x"}]}]}', model="m", stream=True)

json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
blob = st.fixed_dictionaries({"mimeType": st.sampled_from(["image/png", "audio/wav", "video/mp4", "x"]), "data": json})
parts = st.fixed_dictionaries(
    {},
    optional={
        "text": st.text(max_size=5) | json,
        "thought": json,
        "inlineData": blob | json,
        "file_data": st.fixed_dictionaries({"fileUri": st.sampled_from(["https://e.x/a.png", ""])}) | json,
        "functionCall": st.fixed_dictionaries({"name": st.sampled_from(["f", "g"])}, optional={"args": json}) | json,
        "functionResponse": st.fixed_dictionaries({"name": st.sampled_from(["f", "g"])}, optional={"response": json})
        | json,
    },
)
contents = st.fixed_dictionaries(
    {"parts": st.lists(parts | json, max_size=3) | parts},
    optional={"role": st.sampled_from(["user", "model", "function", "user"]) | json},
)
NAMES = (
    """systemInstruction tools toolConfig tool_config safetySettings cachedContent labels serviceTier store unheardOf"""
)
CONFIG = """temperature topP top_k maxOutputTokens stopSequences candidateCount seed responseMimeType responseSchema
responseJsonSchema responseLogprobs logprobs responseModalities thinkingConfig speechConfig presencePenalty odd"""
declared = st.fixed_dictionaries({"name": st.sampled_from(["f", "g"])}, optional={"parameters": json})
listed = st.lists(st.fixed_dictionaries({"functionDeclarations": st.lists(declared)}))
requests = st.builds(
    lambda said, more, config, tools: {"contents": said, "generationConfig": config} | tools | more,
    st.lists(contents | json, min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(NAMES.split()), json, max_size=2),
    st.dictionaries(st.sampled_from(CONFIG.split()), json, max_size=3),
    st.fixed_dictionaries({}, optional={"tools": listed}),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests)
def test_it_translates_any_request_or_names_what_it_cannot(body: dict[str, Any]) -> None:
    try:
        parsed = CALLER.parse(orjson.dumps(body), model="m", stream=True)
        chat = CALLER.chat(parsed)
        assert all(type(name) is str for name in CALLER.ignored(parsed))
        CALLER.encoder(parsed)
    except BadRequest as no:
        assert no.param
        return
    assert chats.parse(orjson.dumps(chat)).stream


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["usage", "model", "id"]), json), st.lists(json, max_size=2))
def test_it_takes_any_completion(body: dict[str, Any], messages: list[Any]) -> None:
    body |= {"choices": [{"message": said, "delta": said, "finish_reason": said} for said in messages]}
    orjson.dumps(CALLER.reply(body, HELLO))
    encoder = CALLER.encoder(HELLO)
    encoder.feed(body)
    assert encoder.end(None, "unpriced")[1].endswith(b"}\r\n\r\n")
