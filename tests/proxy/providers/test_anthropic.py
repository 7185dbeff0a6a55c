"""Anthropic's adapter: where requests go, what passes untouched, and what errors mean."""

from typing import Any

import orjson
import pytest

from proxy import chat as chats
from proxy.body import DEPTH_LIMIT
from proxy.errors import BadRequest, UpstreamError
from proxy.providers.anthropic import VERSION, Anthropic, capabilities
from proxy.providers.names import wire_name
from routing.values import Provider, Target

ANTHROPIC = Anthropic(clock=lambda: 1.0, random_id=lambda: "chatcmpl-made")


def target(base_url: str = "https://api.anthropic.com", model: str = "claude-sonnet-4-5") -> Target:
    return Target("m", Provider("claude", "anthropic", base_url, secret="sk-ant-canary"), model)


def ask(**more: Any) -> chats.Chat:
    return chats.parse(orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]} | more))


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
@pytest.mark.parametrize("base", ["https://api.anthropic.com", "https://gate.example/anthropic"])
def test_it_calls_messages_with_or_without_the_version_in_the_address(base: str, end: str) -> None:
    assert ANTHROPIC.request(ask(), target(base + end)).url == f"{base}/v1/messages"


def test_it_has_a_default_address() -> None:
    assert ANTHROPIC.request(ask(), target("")).url == "https://api.anthropic.com/v1/messages"


def test_it_sends_key_and_version_in_headers() -> None:
    headers = dict(ANTHROPIC.request(ask(), target()).headers)
    assert headers == {"content-type": "application/json", "anthropic-version": VERSION, "x-api-key": "sk-ant-canary"}


def test_it_takes_the_callers_model_where_the_target_leaves_it_open() -> None:
    assert orjson.loads(ANTHROPIC.request(ask(), target(model="")).body)["model"] == "m"


def test_a_request_in_its_own_dialect_passes_with_the_model_put_in() -> None:
    raw = b'{"model": "m",  "odd": 1.0, "messages": [{"role":"user","content":"\\u00e9"}], "max_tokens": 1}'
    out = ANTHROPIC.native(raw, orjson.loads(raw), target(), operation="chat", stream=False)
    assert out.body == raw.replace(b'"m"', b'"claude-sonnet-4-5"', 1)
    assert out.url == "https://api.anthropic.com/v1/messages"
    out = ANTHROPIC.native(raw, orjson.loads(raw), target(model="m"), operation="count_tokens", stream=False)
    assert out.body is raw
    assert out.url == "https://api.anthropic.com/v1/messages/count_tokens"


def test_it_has_no_embeddings() -> None:
    with pytest.raises(BadRequest):
        ANTHROPIC.native(b"{}", {}, target(), operation="embeddings", stream=False)


def test_what_it_refuses_is_said_with_provider_and_model() -> None:
    with pytest.raises(BadRequest, match="claude/claude-sonnet-4-5") as caught:
        ANTHROPIC.request(ask(n=2), target())
    assert caught.value.param == "n"


def failed(status: int, type: str, message: str = "because", **headers: str) -> UpstreamError:
    body = {"type": "error", "error": {"type": type, "message": message}, "request_id": "req_1"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ANTHROPIC.error(status, named, orjson.dumps(body), target())


@pytest.mark.parametrize(
    ("status", "type", "message", "reply", "said_type", "code", "try_next"),
    [
        (400, "invalid_request_error", "max_tokens: required", 400, "invalid_request_error", None, False),
        (
            *(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
            *(400, "invalid_request_error", "context_length_exceeded", False),
        ),
        (
            *(400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 1 + 2 > 2"),
            *(400, "invalid_request_error", "context_length_exceeded", False),
        ),
        (
            *(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
            *(429, "insufficient_quota", "insufficient_quota", True),
        ),
        (402, "billing_error", "pay", 429, "insufficient_quota", "insufficient_quota", True),
        (401, "authentication_error", "invalid x-api-key", 502, "server_error", "upstream_auth_error", True),
        (403, "permission_error", "no", 502, "server_error", "upstream_auth_error", True),
        (404, "not_found_error", "model: x", 404, "invalid_request_error", "model_not_found", True),
        (413, "request_too_large", "too large", 413, "invalid_request_error", "request_too_large", False),
        (429, "rate_limit_error", "slow", 429, "rate_limit_error", "upstream_rate_limited", True),
        (500, "api_error", "oops", 502, "server_error", "upstream_error", True),
        (504, "timeout_error", "late", 504, "server_error", "upstream_timeout", True),
        (529, "overloaded_error", "Overloaded", 503, "server_error", "upstream_error", True),
        (307, "", "", 502, "server_error", "upstream_redirect", True),
    ],
)
def test_it_says_who_is_to_blame(
    status: int, type: str, message: str, reply: int, said_type: str, code: str | None, try_next: bool
) -> None:
    error = failed(status, type, message)
    assert (error.status, error.type, error.code, error.try_next) == (reply, said_type, code, try_next)
    assert error.upstream_status == status


def test_it_says_when_to_come_again() -> None:
    assert failed(429, "rate_limit_error", retry_after="17").retry_after == 17
    assert failed(529, "overloaded_error").retry_after == 1


def test_the_callers_own_fault_is_told_in_the_providers_words_without_our_key() -> None:
    assert failed(400, "invalid_request_error", "tools.0: bad sk-ant-canary").message == "tools.0: bad ***"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'"x"', b'{"error": "x"}', b'{"error": {"message": 5}}'])
def test_an_error_may_have_any_body(body: bytes) -> None:
    for status in (400, 401, 402, 403, 404, 413, 422, 429, 500, 529):
        assert ANTHROPIC.error(status, {}, body, target()).upstream_status == status


def test_a_table_of_models_ignores_their_dates() -> None:
    assert capabilities.of("claude-opus-4-5-20251101") is capabilities.of("claude-opus-4-5")
    assert capabilities.of("anthropic/claude-opus-4-5@20251101") is capabilities.of("claude-opus-4-5")
    assert capabilities.of("claude-opus-5-9") is capabilities.NEWEST
    assert capabilities.of("glm-5") is capabilities.OTHERS


def test_names_on_the_wire_stand_for_one_name_each() -> None:
    names = ["a", "a.b", "a:b", "a b", "é", "x" * 200, "x" * 201, "-"]
    made = [wire_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert all(1 <= len(name) <= 128 and name.isascii() for name in made)


def test_deeply_nested_arguments_stay_text() -> None:
    deep = "[" * 500 + "]" * 500
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":' + deep + "}"}}]
    history = [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": calls}]
    history.append({"role": "tool", "tool_call_id": "a", "content": "y"})
    sent = orjson.loads(ANTHROPIC.request(ask(messages=history), target()).body)
    assert sent["messages"][1]["content"][0]["input"] == {"invalid_arguments": '{"x":' + deep + "}"}
    assert DEPTH_LIMIT < 500


def test_answers_nested_too_deep_are_no_answers() -> None:
    deep: list[Any] = []
    for _ in range(400):
        deep = [deep]
    with pytest.raises(UpstreamError) as caught:
        ANTHROPIC.reply({"content": [{"type": "tool_use", "id": "a", "name": "f", "input": {"x": deep}}]}, ask())
    assert caught.value.code == "upstream_invalid_response"
