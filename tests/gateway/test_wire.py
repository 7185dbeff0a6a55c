"""What a caller sees on the wire: ids, headers, the cache, hosts, origins, methods, and what is open without a key."""

import re
from typing import Any

import pytest

from loadtest.mockserver import Answer
from tests.gateway.conftest import Start
from tests.gateway.stand import CHAT, COST, SECRET, Got, Stand

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
COST_TEXT = "0.000018000"


def host(stand: Stand, target: str, *lines: str) -> Got:
    with stand.connect() as client:
        client.send("\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]).encode())
        answer = client.answer()
    return Got(answer.status, answer.headers, answer.body)


def test_a_plain_answer_says_what_it_is_and_what_it_cost(stand: Stand) -> None:
    got = stand.call(body=stand.ask())
    assert got.status == 200
    assert got.headers["content-type"] == "application/json"
    assert got.headers["content-length"] == str(len(got.body))
    assert got.headers["x-content-type-options"] == "nosniff"
    assert (got.headers["x-provider"], got.headers["x-qlite-target"]) == ("mock", "mock/ok")
    assert (got.headers["x-cache"], got.headers["x-request-cost"]) == ("BYPASS", COST_TEXT)
    assert not {"x-error-origin", "x-tokens-saved", "set-cookie", "server"} & set(got.headers)
    row = stand.row(got.id)
    assert (row["status"], row["usage_source"], row["cost_nano"]) == ("settled", "provider", COST)
    assert (row["team"], row["cost_centre"], row["owner"], row["key_label"]) == ("blue", "CC7", "ann", "good")
    assert (row["route"], row["model_asked"], row["model"], row["http_status"]) == ("mock/*", "mock/ok", "ok", 200)


def test_a_stream_tells_its_cost_in_a_comment_before_the_end(stand: Stand) -> None:
    got = stand.call(body=stand.ask(stream=True))
    assert got.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (got.headers["cache-control"], got.headers["x-accel-buffering"]) == ("no-cache", "no")
    assert "x-request-cost" not in got.headers
    assert got.body.endswith(f": x-request-cost={COST_TEXT}\n\ndata: [DONE]\n\n".encode())
    assert b'"usage"' not in got.body
    assert stand.mock.hits[0].include_usage
    assert stand.row(got.id)["cost_nano"] == COST


def test_every_request_gets_an_id_that_is_new(stand: Stand) -> None:
    seen = [stand.call(body=stand.ask(), x_request_id="the same").headers for _ in range(3)]
    seen += [stand.call("GET", path, key=None).headers for path in ("/", "/healthz", "/v1/models", "/v1/nothing")]
    assert len({headers["x-qlite-id"] for headers in seen}) == 7
    assert all(UUID7.fullmatch(headers["x-qlite-id"]) for headers in seen)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("trace-17", True), ("x" * 128, True), ("a b", True), ("x" * 129, False), ("caf\xe9", False), ("a\tb", False)],
)
def test_it_keeps_a_callers_request_id_that_is_fit_for_it(stand: Stand, given: str, kept: bool) -> None:
    got = stand.call(body=stand.ask(), x_request_id=given)
    assert got.headers["x-request-id"] == (given if kept else got.id)
    assert stand.row(got.id)["client_request_id"] == got.headers["x-request-id"]


def test_an_answer_is_kept_and_given_again_at_no_cost(stand: Stand) -> None:
    ask = stand.ask("kept", content="What is kept?")
    first, again = stand.call(body=ask), stand.call(body=ask | {"user": "another"})
    assert (first.headers["x-cache"], first.headers["x-request-cost"]) == ("MISS", COST_TEXT)
    assert (again.headers["x-cache"], again.headers["x-request-cost"]) == ("HIT", "0.000000000")
    assert (again.headers["x-provider"], again.headers["x-tokens-saved"]) == ("mock", "15")
    assert again.body == first.body
    streamed = stand.call(body=ask | {"stream": True})
    assert (streamed.headers["x-cache"], streamed.headers["x-tokens-saved"]) == ("HIT", "15")
    assert streamed.body.endswith(b": x-request-cost=0.000000000\n\ndata: [DONE]\n\n")
    for wish in ("no-cache", "no-store"):
        assert stand.call(body=ask, cache_control=wish).headers["x-cache"] == "BYPASS"
    assert len(stand.mock.hits) == 3
    row = stand.row(again.id)
    assert (row["status"], row["cost_nano"], row["saved_nano"], row["tokens_saved"]) == ("cached", 0, COST, 15)
    assert row["attempts"] == []


def test_it_says_which_targets_it_tried(stand: Stand) -> None:
    got = stand.call(body=stand.ask("second-chance"))
    assert (got.status, got.headers["x-provider"]) == (200, "mock")
    assert got.headers["x-qlite-attempts"] == "nobody/ok, mock/ok"
    attempts = stand.row(got.id)["attempts"]
    assert [(each["status"], each["cost_nano"]) for each in attempts] == [("failed", 0), ("settled", COST)]


@pytest.mark.parametrize(
    ("model", "status", "code", "cost"),
    [
        ("unreachable", 502, "upstream_connection_error", False),
        ("mock/status-500", 502, "upstream_error", False),
        ("mock/status-429", 429, "upstream_rate_limited", False),
        ("mock/drop", 502, "upstream_connection_error", True),
        ("mock/html-200", 502, "upstream_invalid_response", True),
        ("mock/redirect", 502, "upstream_redirect", False),
    ],
)
def test_an_upstream_error_names_target_and_cost(stand: Stand, model: str, status: int, code: str, cost: bool) -> None:
    got = stand.call(body=stand.ask(model))
    assert (got.status, got.error["code"], got.headers["x-error-origin"]) == (status, code, "upstream")
    provider = "nobody" if model == "unreachable" else "mock"
    assert got.headers["x-provider"] == provider
    assert got.headers["x-qlite-target"] == got.headers["x-qlite-attempts"]
    assert got.headers.get("retry-after") == ("1" if status == 429 else None)
    row = stand.row(got.id)
    assert row["status"] == ("interrupted" if cost else "failed")
    assert (row["cost_nano"] > 0) is cost
    assert got.headers["x-request-cost"] == f"0.{row['cost_nano']:09d}"
    assert SECRET not in got.body.decode()


@pytest.mark.parametrize("stream", [False, True])
def test_a_hostile_model_name_cannot_split_a_header(stand: Stand, stream: bool) -> None:
    """Reliability S-9: in a wildcard route the caller's text becomes part of the target's name."""
    for name in ("x\r\nSet-Cookie: a=b", "\U0001f600 caf\xe9", "a\nb", "x" * 400, "\x00\x7f"):
        got = stand.call(body=stand.ask(f"mock/{name}", stream=stream))
        assert got.status == 200
        assert "set-cookie" not in got.headers
        assert re.fullmatch(r"mock/[\x20-\x7e]+", got.headers["x-qlite-target"])
        assert stand.mock.hits[-1].json["model"] == name
        assert stand.row(got.id)["model"] == name.replace("\0", "\ufffd")[:200]


def test_nothing_of_the_callers_credentials_goes_upstream(stand: Stand) -> None:
    stand.call(
        body=stand.ask(),
        cookie="session=canary",
        x_api_key="canary",
        x_forwarded_for="10.9.8.7",
        openai_organization="canary",
        user_agent="canary",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    headers = stand.mock.hits[0].headers
    assert set(headers) == {"host", "content-type", "content-length", "authorization", "traceparent"}
    assert headers["authorization"] == f"Bearer {SECRET}"
    assert "canary" not in str({name: value for name, value in headers.items() if name != "authorization"})


@pytest.mark.parametrize("status", [200, 400, 500])
def test_nothing_of_the_providers_headers_comes_back(stand: Stand, status: int) -> None:
    theirs = {"set-cookie": "a=b", "location": "http://evil", "www-authenticate": "Basic", "x-odd": "1", "server": "m"}
    stand.mock.script("ok", Answer(status=status, headers=theirs, body=b'{"choices":[]}'))
    got = stand.call(body=stand.ask())
    assert got.status == {500: 502}.get(status, status)
    assert not set(theirs) & set(got.headers)
    assert not [name for name in got.headers if name.startswith("openai-")]


@pytest.mark.parametrize("status", [200, 429])
def test_the_providers_rate_limits_come_back(stand: Stand, status: int) -> None:
    theirs = {"X-RateLimit-Remaining-Tokens": "149", "x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-odd": "\x80"}
    stand.mock.script("ok", Answer(status=status, headers=theirs, body=b'{"choices":[]}'))
    got = stand.call(body=stand.ask())
    assert (got.status, got.headers["x-ratelimit-remaining-tokens"]) == (status, "149")
    assert got.headers["x-ratelimit-reset-tokens"] == "6m0s"
    assert "x-ratelimit-odd" not in got.headers


def test_the_answer_names_the_asked_model_where_the_route_wants_it(stand: Stand) -> None:
    assert stand.call(body=stand.ask("alias")).json["model"] == "alias"
    events = stand.call(body=stand.ask("alias", stream=True)).body
    assert (events.count(b'"model":"alias"'), events.count(b'"model":"ok"')) == (4, 0)


METHODS: list[tuple[str, str, int, str | None]] = [
    *((method, CHAT, 405, "POST") for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")),
    *((method, "/v1/models", 405, "GET, HEAD") for method in ("POST", "PUT", "DELETE", "OPTIONS")),
    ("POST", "/healthz", 405, "GET, HEAD"),
    ("POST", "/", 405, "GET, HEAD"),
    *((method, CHAT, 405, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS") for method in ("TRACE", "FOO", "CONNECT")),
    ("get", CHAT, 405, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
]


@pytest.mark.parametrize(("method", "target", "status", "allow"), METHODS)
def test_other_methods_are_refused_with_those_that_are_not(
    stand: Stand, method: str, target: str, status: int, allow: str
) -> None:
    got = stand.call(method, target)
    assert (got.status, got.headers["allow"]) == (status, allow)
    assert got.headers["x-error-origin"] == "gateway"
    assert "access-control-allow-origin" not in got.headers
    if method != "HEAD":
        assert got.error["code"] == "method_not_allowed"


@pytest.mark.parametrize("target", ["/", "/v1/models", "/healthz", "/health"])
def test_head_is_get_without_the_body(stand: Stand, target: str) -> None:
    head, get = stand.call("HEAD", target), stand.call("GET", target)
    assert (head.status, get.status, head.body) == (200, 200, b"")
    assert abs(int(head.headers["content-length"]) - len(get.body)) < 20  # ages in it change


@pytest.mark.parametrize(
    "path",
    [
        "//v1/chat/completions",
        "/v1/chat/completions/",
        "/V1/chat/completions",
        "/v1",
        "/v1/",
        "/v1/%2e%2e/admin/",
        "/v1/../admin/",
        "/v1/chat%00",
        "/v1/chat/completions;x",
        "/v1/../v1/chat/completions",
    ],
)
def test_paths_that_are_almost_right_lead_nowhere(stand: Stand, path: str) -> None:
    got = stand.call("POST", path, stand.ask())
    assert got.status == 404
    if path.startswith("/v1"):
        assert got.error["code"] == "not_found"
    assert b"csrf" not in got.body.lower()
    assert stand.mock.hits == []


@pytest.mark.parametrize("query", ["alt=sse", "$alt=sse", "%24alt=sse", "alt=sse&key=KEY"])
def test_googles_streams_are_events_for_who_asks_for_them(stand: Stand, query: str) -> None:
    body = {"contents": [{"parts": [{"text": "Hello"}]}]}
    for asked, kind in ((query.replace("KEY", stand.key), "text/event-stream"), ("alt=json", "application/json")):
        got = stand.call(target=f"/v1beta/models/mock/ok:streamGenerateContent?{asked}", body=body)
        assert (got.status, got.headers["content-type"].partition(";")[0]) == (200, kind)


GOOGLES = ("/v1beta", "/v1beta/files", "/v1beta/models/kept:predict", "/gemini/v9/models", "/gemini/x")
ANTHROPICS = ("/v1/messages/batches", "/anthropic/v2/messages")


@pytest.mark.parametrize("path", [*GOOGLES, *ANTHROPICS])
def test_an_address_where_nothing_is_says_so_in_the_words_of_its_api(stand: Stand, path: str) -> None:
    got = stand.call("POST", path, {})
    assert got.status == 404
    if path in GOOGLES:
        assert (got.json["error"]["code"], got.json["error"]["status"]) == (404, "NOT_FOUND")
    else:
        assert (got.json["type"], got.json["error"]["type"]) == ("error", "not_found_error")


@pytest.mark.parametrize("target", ["/healthz", "/v1/models", "/admin/", "/", "/metrics"])
@pytest.mark.parametrize(
    "lines",
    [("Host: evil.example",), ("Host:",), (), ("Host: localhost", "Host: localhost"), ("Host: a/b?c#d@e",),
     ("Host: localhost:99999",), ("Host: localhost", "X-Forwarded-Host: evil.example", "Host: evil.example")],
)  # fmt: skip
def test_a_host_that_is_not_ours_is_refused_on_every_page(stand: Stand, target: str, lines: tuple[str, ...]) -> None:
    got = host(stand, target, *lines)
    assert got.status == 400
    assert got.error["type"] == "invalid_request_error"
    assert got.headers["content-type"] == "application/json"
    assert {"x-qlite-id", "x-request-id"} <= set(got.headers)
    assert b"evil.example" not in got.body


@pytest.mark.parametrize("lines", [("Daphne-Root-Path: /evil",), ("X-Script-Name: /evil", "X-Forwarded-Prefix: /evil")])
def test_no_header_moves_the_root(stand: Stand, lines: tuple[str, ...]) -> None:
    got = host(stand, "/admin/", "Host: localhost", *lines)
    assert got.status == 302
    assert got.headers["location"].startswith("/admin/login/")


@pytest.mark.parametrize("path", ["/", "/health", "/healthz", "/readyz", "/metrics"])
def test_the_open_pages_need_no_key(stand: Stand, path: str) -> None:
    got = stand.call("GET", path, key=None)
    assert got.status == 200
    assert SECRET not in got.body.decode()


def test_health_tells_of_providers_from_live_traffic(stand: Stand) -> None:
    stand.call(body=stand.ask())
    stand.mock.hits.clear()
    health = stand.call("GET", "/health", key=None).json
    assert health["providers"]["mock"]["state"] == "ok"
    assert health["providers"]["mock"]["kind"] == "openai-compatible"
    assert health["database"] == "ok"
    assert stand.mock.hits == []


def test_what_the_server_refuses_by_itself_has_the_headers_of_any_answer(start: Start) -> None:
    stand = start(QLITE_CORS_ALLOW_ORIGINS="https://app.example", QLITE_MAX_REQUEST_BYTES="100000")
    for status, size, key in ((413, 100_001, stand.key), (401, 100_000, "sk-ql_wrong")):
        with stand.connect() as client:
            lines = f"Content-Length: {size}", f"Authorization: Bearer {key}", "X-Request-Id: mine"
            client.ask("POST", CHAT, *lines, "Origin: https://app.example")
            answer = client.answer()
        assert answer.status == status
        assert answer.headers["x-request-id"] == "mine" != answer.headers["x-qlite-id"]
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert answer.headers["x-error-origin"] == "gateway"


def test_metrics_and_origins_as_the_settings_say(start: Start) -> None:
    stand = start(QLITE_CORS_ALLOW_ORIGINS="https://app.example,https://two.example", QLITE_METRICS_TOKEN="t0k3n-long")
    asked: dict[str, Any] = {"access_control_request_method": "POST", "access_control_request_headers": "x-mine"}
    preflight = stand.call("OPTIONS", CHAT, key=None, origin="https://app.example", **asked)
    assert (preflight.status, preflight.body) == (204, b"")
    assert preflight.headers["access-control-allow-origin"] == "https://app.example"
    assert preflight.headers["access-control-allow-headers"] == "x-mine"
    assert {"PUT", "PATCH"} < set(preflight.headers["access-control-allow-methods"].split(", "))
    assert "access-control-allow-credentials" not in preflight.headers
    evil = stand.call("OPTIONS", CHAT, key=None, origin="https://evil.example", **asked)
    assert (evil.status, evil.headers.get("access-control-allow-origin")) == (405, None)
    for body in (stand.ask(), stand.ask("no-such-model"), stand.ask(stream=True)):
        headers = stand.call(body=body, origin="https://two.example").headers
        assert (headers["access-control-allow-origin"], headers["vary"]) == ("https://two.example", "origin")
        assert "x-qlite-id" in headers["access-control-expose-headers"]
        assert "access-control-allow-origin" not in stand.call(body=body, origin="https://evil.example").headers
    assert stand.call("GET", "/metrics", key=None).status == 403
    assert stand.call("GET", "/metrics", key=None, authorization="Bearer wrong").status == 403
    allowed = stand.call("GET", "/metrics", key=None, authorization="Bearer t0k3n-long")
    assert (allowed.status, allowed.headers["content-type"][:10]) == (200, "text/plain")
    assert stand.stop() == 0
