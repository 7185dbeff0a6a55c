"""Requests that are turned away: before a provider hears of them, at no cost, in words that give nothing away."""

import json
import time
from hashlib import sha256
from typing import Any

import pytest

from tests.gateway.conftest import Start
from tests.gateway.stand import CHAT, Stand

HELLO = b'"messages":[{"role":"user","content":"Hello"}]'


def raw(model: bytes = b'"mock/ok"', more: bytes = b"") -> bytes:
    return b'{"model":' + model + b"," + HELLO + more + b"}"


def body(**fields: Any) -> bytes:
    ask = {"model": "mock/ok", "messages": [{"role": "user", "content": "Hello"}]} | fields
    return json.dumps({name: value for name, value in ask.items() if value is not ...}).encode()


def asking(content: str) -> Any:
    return [{"role": "user", "content": content}]


def nested(depth: int) -> bytes:
    """A request whose brackets are nested that deep."""
    return raw(more=b',"x":' + b"[" * (depth - 1) + b"]" * (depth - 1))


# Reliability I-1 to I-7 and I-21: what is sent, the code, and the parameter that is named.
WRONG: list[tuple[str, bytes, str, str | None]] = [
    ("empty", b"", "invalid_json", None),
    ("half", b"{", "invalid_json", None),
    ("null", b"null", "invalid_type", None),
    ("list", b"[]", "invalid_type", None),
    ("string", b'"x"', "invalid_type", None),
    ("bom", b"\xef\xbb\xbf" + raw(), "invalid_json", None),
    ("utf-16", raw().decode().encode("utf-16"), "invalid_json", None),
    ("latin-1", raw(b'"caf\xe9"'), "invalid_json", None),
    ("trailing", raw() + b"x", "invalid_json", None),
    ("two objects", raw() + raw(), "invalid_json", None),
    ("deep lists", b"[" * 100_000, "json_too_deep", None),
    ("65 deep", nested(65), "json_too_deep", None),
    ("NaN", raw(more=b',"temperature":NaN'), "invalid_number", None),
    ("Infinity", raw(more=b',"temperature":-Infinity'), "invalid_number", None),
    ("1e999", raw(more=b',"temperature":1e999'), "invalid_number", None),
    ("5000 digits", raw(more=b',"seed":' + b"9" * 5000), "invalid_number", None),
    ("1.0 for a whole number", body(max_tokens=1.0), "invalid_type", "max_tokens"),
    ("same key twice", raw(more=b',"model":"mock/else"'), "duplicate_key", "model"),
    ("same key twice, escaped", raw(more=b',"mod\\u0065l":"mock/else"'), "duplicate_key", "model"),
    ("same key twice, deep", raw(more=b',"x":[{"a":1,"a" :2}]'), "duplicate_key", "a"),
    ("half a surrogate in the model", raw(b'"\\ud800"'), "invalid_unicode", None),
    ("half a surrogate in a field", raw(more=b',"user":"\\udfff"'), "invalid_unicode", None),
    ("no model", body(model=...), "missing_required_parameter", "model"),
    ("null model", body(model=None), "missing_required_parameter", "model"),
    ("number as model", body(model=5), "invalid_type", "model"),
    ("empty model", body(model=""), "invalid_value", "model"),
    ("no messages", body(messages=...), "missing_required_parameter", "messages"),
    ("empty messages", body(messages=[]), "invalid_value", "messages"),
    ("messages as text", body(messages="Hello"), "invalid_type", "messages"),
    ("message as text", body(messages=["Hello"]), "invalid_type", "messages[0]"),
    ("role", body(messages=[{"role": "king"}]), "invalid_value", "messages[0].role"),
    ("content", body(messages=[{"role": "user", "content": 5}]), "invalid_type", "messages[0].content"),
    ("n of 0", body(n=0), "invalid_value", "n"),
    ("n of a billion", body(n=10**9), "invalid_value", "n"),
    ("negative max_tokens", body(max_tokens=-1), "invalid_value", "max_tokens"),
    ("hot temperature", body(temperature="hot"), "invalid_type", "temperature"),
    ("temperature of 3", body(temperature=3), "invalid_value", "temperature"),
    ("stream as text", body(stream="true"), "invalid_type", "stream"),
    ("stream as number", body(stream=1), "invalid_type", "stream"),
    ("stream_options without stream", body(stream_options={"include_usage": True}), "invalid_value", "stream_options"),
]


MODELS = ["no-such-model", "../mock/ok", "mock", "mock/", "mock/ok\nx", "\U0001f600", "m" * 10_000, "<script>"]
MEDIA: list[tuple[dict[str, str], str]] = [
    ({"content_type": ""}, "unsupported_media_type"),
    ({"content_type": "text/plain"}, "unsupported_media_type"),
    ({"content_type": "application/x-www-form-urlencoded"}, "unsupported_media_type"),
    ({"content_type": "multipart/form-data; boundary=x"}, "unsupported_media_type"),
    ({"content_type": "application/json; charset=utf-16"}, "unsupported_media_type"),
    ({"content_encoding": "gzip"}, "unsupported_encoding"),
    ({"content_encoding": "br"}, "unsupported_encoding"),
    ({"content_encoding": "deflate"}, "unsupported_encoding"),
]


@pytest.mark.parametrize(("sent", "code", "param"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_body_is_a_400_that_names_the_fault(stand: Stand, sent: bytes, code: str, param: str | None) -> None:
    got = stand.call(body=sent)
    assert (got.status, got.error["code"], got.error["param"]) == (400, code, param)
    assert got.error["type"] == "invalid_request_error"
    assert (got.headers["x-error-origin"], got.headers["x-request-cost"]) == ("gateway", "0.000000000")
    assert len(got.body) <= 2048
    assert stand.mock.hits == []


def test_every_refusal_of_a_known_caller_is_a_row_at_no_cost(stand: Stand) -> None:
    asked = [stand.call(body=sent) for _, sent, _, _ in WRONG]
    asked += [stand.call(body=body(), **headers) for headers, _ in MEDIA]
    asked += [stand.call(body=body(model=model), key=stand.keys["narrow"]) for model in MODELS]
    stand.row(asked[-1].id)
    for got in asked:
        row = stand.row(got.id)
        assert (row["status"], row["http_status"], row["error"]) == ("failed", got.status, got.error["code"])
        assert (row["team"], row["cost_nano"], row["cost_status"], row["attempts"]) == ("blue", 0, "none", [])


FORBIDDEN = ["api_base", "base_url", "api_key", "api_version", "headers", "extra_headers", "extra_body", "extra_query",
    "organization", "timeout", "proxies", "mock_response"]  # fmt: skip


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_caller_never_chooses_where_it_goes(stand: Stand, name: str) -> None:
    value = "http://127.0.0.1:1"
    for sent, param in [
        (body(**{name: value}), name),
        (raw(more=f',"\\u{ord(name[0]):04x}{name[1:]}":"{value}"'.encode()), name),
        (body(metadata={name: value}), f"metadata.{name}"),
        (body(metadata={"callback_url": value}), "metadata.callback_url"),
    ]:
        got = stand.call(body=sent)
        assert (got.status, got.error["code"], got.error["param"]) == (400, "unsupported_parameter", param)
    for header in ("X-Qlite-Host", "X-Portkey-Custom-Host", "X-Forwarded-Host"):
        assert stand.call(body=body(), **{header: "evil.example"}).status == 200
    assert {hit.headers["host"] for hit in stand.mock.hits} == {f"127.0.0.1:{stand.mock.port}"}


@pytest.mark.parametrize(
    "content", ["{{7*7}}", "{% load x %}", "${jndi:ldap://x}", "%s%n", "__import__('os')", "a\x00b"]
)
def test_words_are_only_words(stand: Stand, content: str) -> None:
    """Reliability S-5 and I-6: nothing in a prompt is understood, and nothing is changed."""
    for escaped in (True, False):
        sent = json.dumps(json.loads(body(user="\xe9", messages=asking(content))), ensure_ascii=escaped).encode()
        got = stand.call(body=sent, x_request_id="%s{{7*7}}")
        assert got.status == 200
        assert stand.mock.hits[-1].body == sent.replace(b'"mock/ok"', b'"ok"')
        assert stand.row(got.id)["client_request_id"] == "%s{{7*7}}"


def test_64_levels_are_not_too_deep(stand: Stand) -> None:
    assert stand.call(body=nested(64)).status == 200


@pytest.mark.parametrize("model", MODELS, ids=lambda model: ascii(model[:12]))
def test_unknown_and_forbidden_models_are_told_alike(stand: Stand, model: str) -> None:
    got = stand.call(body=body(model=model), key=stand.keys["narrow"])
    forbidden = stand.call(body=body(model="kept"), key=stand.keys["narrow"])
    assert (got.status, got.error["code"], got.error["param"]) == (404, "model_not_found", "model")
    assert len(got.error["message"]) < 400
    assert got.error["message"].replace(repr(model[:64]), "") == forbidden.error["message"].replace("'kept'", "")
    assert {**got.error, "message": ""} == {**forbidden.error, "message": ""}
    assert set(got.headers) == set(forbidden.headers)
    assert stand.mock.hits == []


@pytest.mark.parametrize(("headers", "code"), MEDIA, ids=lambda value: str(value)[:60])
def test_only_plain_json_is_read(stand: Stand, headers: dict[str, str], code: str) -> None:
    got = stand.call(body=body(), **headers)
    assert (got.status, got.error["code"]) == (415, code)
    assert stand.mock.hits == []


@pytest.mark.parametrize("kind", ["application/json; charset=UTF-8", "Application/JSON", "application/json;"])
def test_json_is_known_by_all_its_names(stand: Stand, kind: str) -> None:
    assert stand.call(body=body(), content_type=kind, content_encoding="identity").status == 200


# Reliability. The key text is put in for {}, its SHA-256 for {digest}.
STRANGERS: list[dict[str, str]] = [
    {},
    {"authorization": "Bearer"},
    {"authorization": "Bearer "},
    {"authorization": "Basic {}"},
    {"authorization": "{}"},
    {"cookie": "key={}; authorization=Bearer {}"},
    {"authorization": "Bearer {digest}"},
    {"authorization": "Bearer {prefix}"},
    {"authorization": "Bearer {}x"},
    {"authorization": "Bearer {swapped}"},
    {"authorization": "Bearer ' OR 1=1 --"},
    {"authorization": "Bearer \x00\xff"[:-2] + "\xff\xfe"},
    {"authorization": "Bearer *)(uid=*"},
    {"authorization": "Bearer null", "x_api_key": "{}"},
    {"x_api_key": "sk-ql_wrong"},
    {"x_goog_api_key": "x" * 5000},
    {"authorization": "Bearer {expired}"},
    {"authorization": "Bearer {disabled}"},
    {"authorization": "Bearer {closed}"},
]


@pytest.mark.parametrize("headers", STRANGERS, ids=lambda headers: ascii(str(headers)[:60]))
def test_strangers_get_one_answer(stand: Stand, headers: dict[str, str]) -> None:
    key = stand.key
    digest = sha256(key.encode()).hexdigest()
    words = {**stand.keys, "digest": digest, "prefix": key[:14], "swapped": key.swapcase()}
    filled = {name: value.replace("{}", key).format(**words) for name, value in headers.items()}
    for sent in (body(), b"[" * 100_000):
        got = stand.call(body=sent, key=None, **filled)
        assert (got.status, got.error["code"]) == (401, "invalid_api_key")
        assert got.headers["www-authenticate"] == "Bearer"
        assert got.headers["x-error-origin"] == "gateway"
        missing = "You didn't provide an API key."
        assert got.error["message"].startswith((missing, "Incorrect API key provided."))
        assert key[:14] not in got.body.decode()
    assert stand.call("GET", "/v1/models", key=None, **filled).status == 401
    assert stand.mock.hits == []


def test_strangers_leave_no_row(stand: Stand) -> None:
    strangers = [stand.call(body=body(), key=key).id for key in (None, "sk-ql_wrong", stand.keys["expired"])]
    stand.row(stand.call(body=body()).id)
    assert stand.rows("id IN (?, ?, ?)", *strangers) == []


@pytest.mark.parametrize("name", ["authorization", "x_api_key", "x_goog_api_key"])
def test_a_key_is_taken_from_any_of_three_headers(stand: Stand, name: str) -> None:
    value = f"bearer  {stand.key}" if name == "authorization" else stand.key
    assert stand.call(body=body(), key=None, **{name: value}).status == 200


@pytest.mark.parametrize("name", ["key", "api_key", "KEY"])
@pytest.mark.parametrize("in_header_too", [False, True])
def test_a_key_in_the_url_is_refused(stand: Stand, name: str, in_header_too: bool) -> None:
    target = f"{CHAT}?a=b&{name}={stand.key}"
    got = stand.call("POST", target, body(), key="" if in_header_too else None)
    assert (got.status, got.error["code"], got.error["param"]) == (400, "key_in_url", "key")
    assert stand.key not in got.body.decode()
    assert stand.mock.hits == []


def test_a_new_key_works_and_a_disabled_one_stops_at_once(stand: Stand) -> None:
    key = stand.home.run("createkey", "--team", "blue", "--name", "later", "--quiet")

    def takes(status: int, seconds: float) -> bool:
        give_up = time.monotonic() + seconds
        while stand.call("GET", "/v1/models", key=key).status != status:
            if time.monotonic() > give_up:
                return False
            time.sleep(0.05)
        return True

    assert takes(200, 2)  # a second is promised; this machine may be busy
    stand.home.run("shell", "-v", "0", "-c", DISABLE)
    assert takes(401, 2)


DISABLE = """
from accounts.models import ApiKey
for row in ApiKey.objects.filter(label="later"):
    row.disabled = True
    row.save()
"""


def test_a_body_that_is_too_large_is_refused_before_it_is_read(start: Start) -> None:
    stand = start(QLITE_MAX_REQUEST_BYTES="70000")
    filler = b'"' + b"x" * (70_000 - len(raw(more=b',"x":""'))) + b'"'
    exact = raw(more=b',"x":' + filler)
    assert len(exact) == 70_000
    assert stand.call(body=exact).status == 200
    for lines in (("Content-Length: 70001",), ("Content-Length: 300000000", "Expect: 100-continue")):
        with stand.connect() as client:  # the head alone: the answer must not wait for a body
            client.ask("POST", CHAT, *lines, f"Authorization: Bearer {stand.key}", "Content-Type: application/json")
            answer = client.answer()
        assert (answer.status, answer.code) == (413, "request_too_large")
        assert answer.headers["connection"] == "close"
        assert answer.names.count("content-type") == 1
        assert {"x-qlite-id", "x-request-id", "x-error-origin"} <= set(answer.headers)
    with stand.connect() as client:
        key = f"Authorization: Bearer {stand.key}"
        client.ask("POST", CHAT, "Transfer-Encoding: chunked", key, "Content-Type: application/json")
        for _ in range(8):
            client.send(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
        assert client.answer().status == 413
    with stand.connect() as client:  # nor is the body of a stranger
        client.ask("POST", CHAT, "Content-Length: 69999", "Authorization: Bearer wrong", "Expect: 100-continue")
        answer = client.answer()
        assert (answer.status, answer.code, answer.headers["www-authenticate"]) == (401, "invalid_api_key", "Bearer")
    assert len(stand.mock.hits) == 1
    google, anthropic = "/v1beta/models/m:generateContent?alt=sse", "/v1/messages?beta=true"
    for length, key, status, words in (
        (70_001, stand.key, 413, ("INVALID_ARGUMENT", "request_too_large")),
        (69_999, "wrong", 401, ("UNAUTHENTICATED", "authentication_error")),
    ):
        for target, word in zip((google, anthropic), words, strict=True):
            with stand.connect() as client:
                client.ask("POST", target, f"Content-Length: {length}", f"X-Api-Key: {key}")
                answer = client.answer()
            error = json.loads(answer.body)["error"]
            assert (answer.status, error.get("status") or error["type"]) == (status, word)
    assert stand.stop() == 0


def test_many_wrong_keys_have_to_wait_also_with_large_bodies(start: Start) -> None:
    stand = start(QLITE_WRONG_KEYS="3")
    large = b"x" * 100_000
    answers = [stand.call(body=body, key="sk-ql_wrong") for body in (b"{}", large, b"{}", large, b"{}")]
    assert [answer.status for answer in answers] == [401, 401, 401, 429, 429]
    for answer in answers[3:]:
        assert answer.error["code"] == "too_many_auth_failures"
        assert 1 <= int(answer.headers["retry-after"]) <= 10
    assert stand.call(body=stand.ask()).status == 200


def test_behind_a_proxy_each_caller_has_its_own_wrong_keys(start: Start) -> None:
    stand = start(QLITE_WRONG_KEYS="2", QLITE_TRUSTED_PROXIES="127.0.0.1")

    def wrong(address: str, body: bytes = b"{}") -> int:
        return stand.call(body=body, key="sk-ql_wrong", x_forwarded_for=f"10.9.9.9, {address}").status

    assert [wrong("203.0.113.5") for _ in range(3)] == [401, 401, 429]
    assert wrong("203.0.113.5", b"x" * 100_000) == 429
    assert wrong("203.0.113.6") == wrong("203.0.113.6", b"x" * 100_000) == 401
    assert stand.call("GET", "/metrics").status == 200
    assert stand.call("GET", "/metrics", x_forwarded_for="203.0.113.5").status == 403
