"""The kind "gemini" around its golden files: addresses, native requests, errors, and what models can do."""

from typing import Any

import orjson
import pytest

from proxy import chat as chats
from proxy.errors import BadRequest, UpstreamError
from proxy.providers.gemini import Gemini, address, capabilities
from routing.values import Provider, Target

KEY = "AIzaSyCanaryCanaryCanary"
PROVIDER = Provider("google", "gemini", "https://generativelanguage.googleapis.com", secret=KEY)
TARGET = Target("m", PROVIDER, "gemini-2.5-flash")
HELLO = {"model": "m", "messages": [{"role": "user", "content": "x"}]}


@pytest.mark.parametrize(
    ("base", "model", "path"),
    [
        ("https://g.example", "gemini-2.5-pro", "https://g.example/v1beta/models/gemini-2.5-pro:x"),
        ("https://g.example/", "gemini-2.5-pro", "https://g.example/v1beta/models/gemini-2.5-pro:x"),
        ("https://g.example/v1", "gemini-2.5-pro", "https://g.example/v1/models/gemini-2.5-pro:x"),
        ("https://g.example/v1beta/", "gemini-2.5-pro", "https://g.example/v1beta/models/gemini-2.5-pro:x"),
        ("https://g.example/proxy", "gemini-2.5-pro", "https://g.example/proxy/v1beta/models/gemini-2.5-pro:x"),
        ("https://g.example/v1", "models/gemini-2.5-pro", "https://g.example/v1/models/gemini-2.5-pro:x"),
        ("https://g.example/v1", "tunedModels/mine-1", "https://g.example/v1/tunedModels/mine-1:x"),
        ("https://g.example/v1", "../files?key=a#b", "https://g.example/v1/models/..%2Ffiles%3Fkey%3Da%23b:x"),
        ("https://g.example/v1", "a:deleteModel", "https://g.example/v1/models/a%3AdeleteModel:x"),
    ],
)
def test_it_finds_the_address_and_lets_no_name_leave_its_place(base: str, model: str, path: str) -> None:
    assert address.url(Provider("g", "gemini", base), model, "x") == path


def test_it_keeps_the_key_out_of_the_address_and_sends_none_where_there_is_none() -> None:
    out = Gemini().request(chats.parse(orjson.dumps(HELLO)), TARGET)
    assert KEY not in out.url
    assert dict(out.headers)["x-goog-api-key"] == KEY
    bare = Target("m", Provider("g", "gemini", "https://g.example"), "gemini-2.5-flash")
    assert dict(Gemini().request(chats.parse(orjson.dumps(HELLO)), bare).headers).keys() == {"content-type"}


def test_it_takes_the_asked_name_where_the_target_has_none() -> None:
    out = Gemini().request(chats.parse(orjson.dumps(HELLO)), Target("m", PROVIDER, ""))
    assert out.url.endswith("/models/m:generateContent")


@pytest.mark.parametrize(
    ("operation", "stream", "method"),
    [
        ("chat", False, "generateContent"),
        ("chat", True, "streamGenerateContent?alt=sse"),
        ("count_tokens", False, "countTokens"),
        ("embeddings", False, "embedContent"),
    ],
)
def test_it_passes_native_bytes_under_the_targets_model(operation: str, stream: bool, method: str) -> None:
    raw = b'{"contents": [ {"parts":[{"text":"\\u00e9"}]} ], "odd": 1.0}'
    out = Gemini().native(raw, orjson.loads(raw), TARGET, operation=operation, stream=stream)
    assert out.url == f"{PROVIDER.base_url}/v1beta/models/gemini-2.5-flash:{method}"
    assert out.body is raw


@pytest.mark.parametrize(
    ("raw", "sent"),
    [
        (b'{"model":"models/m", "content":{}}', b'{"model":"models/gemini-2.5-flash", "content":{}}'),
        (b'{"model": "models/gemini-2.5-flash"}', b'{"model": "models/gemini-2.5-flash"}'),
        (
            b'{"generateContentRequest":{"model":"models/m","contents":[]}}',
            b'{"generateContentRequest":{"model":"models/gemini-2.5-flash","contents":[]}}',
        ),
        (b'{"generateContentRequest":{"contents":[]}}', b'{"generateContentRequest":{"contents":[]}}'),
    ],
)
def test_it_changes_the_name_where_a_native_body_says_it_too(raw: bytes, sent: bytes) -> None:
    assert Gemini().native(raw, orjson.loads(raw), TARGET, operation="count_tokens", stream=False).body == sent


def test_it_knows_no_other_operation() -> None:
    with pytest.raises(BadRequest):
        Gemini().native(b"{}", {}, TARGET, operation="fly", stream=False)


@pytest.mark.parametrize(
    ("model", "flags"),
    [
        ("gemini-2.5-flash-preview-09-2025", {"thinking": "budget", "candidate_count": True}),
        ("gemini-2.5-pro", {"least_budget": 128, "thought_signature_required": False}),
        ("models/gemini-1.5-pro-002", {"thinking": "none", "fetches_urls": False}),
        ("gemini-3-pro-preview", {"thinking": "level", "minimal_level": False, "prefill": True}),
        ("gemini-3.6-flash-001", {"sampling": False, "minimal_level": True}),
        ("gemini-3.9-flash", {"sampling": False, "minimal_level": False, "penalties": True}),
        ("gemini-4.1-xenon", {"penalties": False, "prefill": False, "candidate_count": False}),
        ("gemini-40", {"penalties": False}),
        ("gemma-3-27b-it", {"thinking": "level", "penalties": False}),
        ("gemini-flash-latest", {"minimal_level": True, "sampling": True, "prefill": True}),
    ],
)
def test_it_knows_or_assumes_what_a_model_can_do(model: str, flags: dict[str, Any]) -> None:
    known = capabilities.of(model)
    assert {name: getattr(known, name) for name in flags} == flags


def error(status: int, body: object = None, **headers: str) -> UpstreamError:
    raw = body if isinstance(body, bytes) else orjson.dumps(body or {})
    return Gemini().error(status, {name.replace("_", "-"): said for name, said in headers.items()}, raw, TARGET)


def status_body(status: str, message: str = "no", **detail: object) -> dict[str, Any]:
    details = [{"@type": "type.googleapis.com/google.rpc.Detail", **detail}] if detail else []
    return {"error": {"code": 400, "message": message, "status": status, "details": details}}


TOO_LONG = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048575)."


@pytest.mark.parametrize(
    ("status", "body", "reply", "code", "try_next"),
    [
        (400, status_body("INVALID_ARGUMENT", "Unknown name \"x\""), 400, None, False),
        (400, [status_body("INVALID_ARGUMENT")], 400, None, False),
        (400, status_body("INVALID_ARGUMENT", TOO_LONG), 400, "context_length_exceeded", False),
        (400, status_body("INVALID_ARGUMENT", reason="API_KEY_INVALID"), 502, "upstream_auth_error", True),
        (400, status_body("INVALID_ARGUMENT", "API key not valid."), 502, "upstream_auth_error", True),
        (400, status_body("FAILED_PRECONDITION", "Not now."), 400, None, False),
        (400, status_body("FAILED_PRECONDITION", "User location is not supported for the API use."), 502,
         "upstream_error", True),
        (401, status_body("UNAUTHENTICATED"), 502, "upstream_auth_error", True),
        (403, status_body("PERMISSION_DENIED"), 502, "upstream_auth_error", True),
        (404, status_body("NOT_FOUND"), 404, "model_not_found", True),
        (413, b"<html>too large</html>", 413, "request_too_large", False),
        (429, status_body("RESOURCE_EXHAUSTED"), 429, "upstream_rate_limited", True),
        (500, status_body("INTERNAL"), 502, "upstream_error", True),
        (503, status_body("UNAVAILABLE"), 503, "upstream_error", True),
        (504, status_body("DEADLINE_EXCEEDED"), 504, "upstream_timeout", True),
        (302, b"", 502, "upstream_redirect", True),
        (418, b"", 502, "upstream_error", True),
    ],
)  # fmt: skip
def test_it_says_who_is_to_blame(status: int, body: object, reply: int, code: str | None, try_next: bool) -> None:
    said = error(status, body)
    assert (said.status, said.code, said.try_next, said.upstream_status) == (reply, code, try_next, status)


@pytest.mark.parametrize(
    ("body", "headers", "wait"),
    [
        (status_body("RESOURCE_EXHAUSTED", retryDelay="36s"), {}, 36),
        (status_body("RESOURCE_EXHAUSTED", retryDelay="36.4s"), {}, 37),
        (status_body("RESOURCE_EXHAUSTED", "Quota. Please retry in 12.2s."), {}, 13),
        (status_body("RESOURCE_EXHAUSTED", retryDelay="36s"), {"retry_after": "5"}, 5),
        (status_body("RESOURCE_EXHAUSTED", retryDelay="soon"), {}, 1),
        (status_body("RESOURCE_EXHAUSTED", retryDelay="999999s"), {}, 3600),
        (status_body("RESOURCE_EXHAUSTED", retryDelay=7), {}, 1),
        (b"", {}, 1),
    ],
)
def test_it_reads_when_to_come_again(body: object, headers: dict[str, str], wait: int) -> None:
    assert error(429, body, **headers).retry_after == wait


def test_it_keeps_the_words_of_a_refusal_but_not_our_secrets() -> None:
    message = f"{PROVIDER.base_url}/v1beta/models/x:generateContent?key=hidden&alt=sse with {KEY} and AIzaSyOtherOther"
    said = error(400, status_body("INVALID_ARGUMENT", message))
    assert said.body()["error"] == {
        "message": "***/v1beta/models/x:generateContent?key=***&alt=sse with *** and ***",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


@pytest.mark.parametrize("body", [b"<html>", b"", b"[1]", b"[]", b'{"error": "text"}', b"null", b'{"error": {}}'])
def test_it_takes_any_error_body(body: bytes) -> None:
    assert error(400, body).status == 400
    assert error(500, body).status == 502


DEEP = '{"a":' * 400 + "1" + "}" * 400


def test_it_stands_what_is_nested_too_deeply_to_be_written() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [*HELLO["messages"], {"role": "assistant", "tool_calls": [call]}]
    result = {"role": "tool", "tool_call_id": "c1", "content": DEEP}
    out = Gemini().request(chats.parse(orjson.dumps(HELLO | {"messages": [*turns, result]})), TARGET)
    assert orjson.loads(out.body)["contents"][2]["parts"][0]["functionResponse"]["response"] == {"result": DEEP}
    call["function"] = {"name": "f", "arguments": DEEP}
    out = Gemini().request(chats.parse(orjson.dumps(HELLO | {"messages": turns})), TARGET)
    called = orjson.loads(out.body)["contents"][1]["parts"][0]["functionCall"]
    assert called["args"] == {"invalid_arguments": DEEP}
    parts = [{"functionCall": {"name": "f", "args": orjson.loads(DEEP)}}]
    with pytest.raises(UpstreamError, match="nested"):
        Gemini().reply({"candidates": [{"content": {"parts": parts}}]}, chats.parse(orjson.dumps(HELLO)))
