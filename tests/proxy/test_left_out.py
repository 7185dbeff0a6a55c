"""What is left out on the way into another dialect is named, however deep it stands; what says something is kept."""

from typing import Any

import orjson
import pytest

from proxy import chat as chats
from proxy.dialects.gemini import GeminiCaller
from proxy.dialects.messages import Messages
from proxy.providers import ADAPTERS
from routing.values import Provider, Target

HELLO = {"role": "user", "content": "Hi"}
FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}
MARK = {"type": "ephemeral"}
MODELS = {"anthropic": "claude-opus-4-6", "gemini": "gemini-3-pro"}


def sent(kind: str, **more: Any) -> tuple[Any, list[str]]:
    """What a chat becomes at a kind, and what is named as left out."""
    place = Provider("p", kind, "https://up.example/v1", secret="s")
    asked = chats.parse(orjson.dumps({"model": "m", "messages": [HELLO]} | more))
    out = ADAPTERS[kind].request(asked, Target("m", place, MODELS[kind]))
    return orjson.loads(out.body), sorted(out.ignored)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"odd": 1}, "odd"),
        ({"messages": [HELLO | {"odd": 1}]}, "messages.odd"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi", "odd": 1}]}]},
            "messages.content.odd",
        ),
        ({"tools": [{"type": "function", "function": FUNCTION, "odd": 1}]}, "tools.odd"),
        ({"tools": [{"type": "function", "function": FUNCTION | {"odd": 1}}]}, "tools.function.odd"),
    ],
    ids=str,
)
def test_what_nobody_knows_is_named(kind: str, more: dict[str, Any], named: str) -> None:
    body, ignored = sent(kind, **more)
    assert ignored == [named]
    assert b"odd" not in orjson.dumps(body)


@pytest.mark.parametrize("kind", MODELS)
def test_what_is_null_asks_for_nothing(kind: str) -> None:
    assert sent(kind, odd=None, messages=[HELLO | {"odd": None}])[1] == []


@pytest.mark.parametrize(
    "more",
    [
        {"messages": [HELLO | {"cache_control": MARK}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": MARK}]}]},
        {"tools": [{"type": "function", "function": FUNCTION, "cache_control": MARK}]},
    ],
    ids=str,
)
def test_a_mark_for_a_cache_is_put_or_named(more: dict[str, Any]) -> None:
    body, ignored = sent("anthropic", **more)
    assert (orjson.dumps(body).count(b'"cache_control"'), ignored) == (1, [])
    body, ignored = sent("gemini", **more)
    assert (orjson.dumps(body).count(b'"cache_control"'), ignored) == (0, ["cache_control"])


def test_thoughts_of_another_model_are_named() -> None:
    thoughts = {
        "reasoning_content": "Hm.",
        "thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}],
    }
    history = [HELLO, {"role": "assistant", "content": "a"} | thoughts, HELLO]
    assert sent("gemini", messages=history)[1] == ["messages.reasoning_content", "messages.thinking_blocks"]
    body, ignored = sent("anthropic", messages=history)
    assert (body["messages"][1]["content"][0]["signature"], ignored) == ("s", [])


@pytest.mark.parametrize("kind", MODELS)
def test_what_a_schema_is_for_is_told(kind: str) -> None:
    schema = {"name": "n", "description": "A city.", "schema": {"type": "object", "properties": {}}}
    body, _ = sent(kind, response_format={"type": "json_schema", "json_schema": schema})
    assert b'"description":"A city."' in orjson.dumps(body)


def asked(**more: Any) -> tuple[Any, list[str]]:
    """What a request in Anthropic's dialect becomes, and what is named as left out."""
    dialect = Messages()
    raw = orjson.dumps({"model": "m", "max_tokens": 9, "messages": [HELLO]} | more)
    found = dialect.parse(raw)
    return dialect.chat(found), sorted(dialect.ignored(found))


def document(**source: str) -> dict[str, Any]:
    more = {"title": "T", "context": "From 1999.", "citations": {"enabled": True}}
    return {"type": "document", "source": source} | more


def test_what_is_said_of_a_document_is_kept() -> None:
    text = document(type="text", media_type="text/plain", data="D")
    body, ignored = asked(messages=[{"role": "user", "content": [text]}])
    assert (body["messages"][0]["content"], ignored) == ("T\n\nFrom 1999.\n\nD", ["citations"])
    pdf = document(type="base64", media_type="application/pdf", data="AA==")
    body, _ = asked(messages=[{"role": "user", "content": [pdf]}])
    assert [part.get("text", part["type"]) for part in body["messages"][0]["content"]] == ["From 1999.", "file"]


def test_anthropics_own_members_are_named() -> None:
    tool = {"name": "f", "input_schema": {"type": "object"}, "defer_loading": True, "cache_control": MARK}
    text = {"type": "text", "text": "Hi", "citations": None, "odd": 1}
    cited = {"type": "text", "text": "Yes.", "citations": [{"type": "char_location"}]}
    history = [{"role": "user", "content": [text], "odd": 1}, {"role": "assistant", "content": [cited]}, HELLO]
    _, ignored = asked(messages=history, tools=[tool], top_k=3)
    assert ignored == ["cache_control", "messages.content.odd", "messages.odd", "tools.defer_loading", "top_k"]


def test_geminis_own_members_are_named() -> None:
    dialect = GeminiCaller()
    declared = {"name": "f", "behavior": "NON_BLOCKING", "parameters": {"type": "OBJECT", "properties": {}}}
    body = {"contents": [{"parts": [{"text": "Hi", "odd": 1}]}], "tools": [{"functionDeclarations": [declared]}]}
    found = dialect.parse(orjson.dumps(body), model="m")
    assert dialect.ignored(found) == ("contents.parts.odd", "tools.functionDeclarations.behavior")


@pytest.mark.parametrize("kind", MODELS)
def test_both_call_what_they_leave_out_the_same(kind: str) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "high"}}
    said = [{"role": "user", "name": "ann", "content": [picture]}]
    assert sent(kind, messages=said)[1] == ["messages.content.image_url.detail", "messages.name"]


@pytest.mark.parametrize("kind", MODELS)
def test_no_log_probabilities_are_no_wish(kind: str) -> None:
    body, ignored = sent(kind, logprobs=False, top_logprobs=0)
    assert ignored == []
    assert "generationConfig" not in body
