"""The own APIs of providers behind our keys, over real sockets: nothing is changed, everything is recorded."""

from pathlib import Path
from typing import Any

import pytest

from tests.proxy.harness import route
from tests.proxy.native.harness import SECRET, of_kind, passing

CHAT = {"model": "gpt-x", "messages": [{"role": "user", "content": "Hello"}]}
ODD = b'{ "model":"gpt-x",  "messages":[{"role":"user","content":"\\u00e9"}], "novelty":{"a":[1.50]} }'
ANSWER = {
    "id": "x",
    "choices": [{"message": {"content": "Hi"}}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5},
}
MESSAGE = {
    "type": "message",
    "content": [{"type": "text", "text": "Hi"}],
    "usage": {"input_tokens": 9, "output_tokens": 4},
}
GENERATED = {
    "candidates": [{"finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 3},
}


@pytest.mark.parametrize(
    ("kind", "path", "upstream", "header", "answer", "usage"),
    [
        ("openai", "/openai/v1/chat/completions", "/v1/chat/completions", "authorization", ANSWER, (10, 5)),
        ("groq", "/groq/openai/v1/chat/completions", "/v1/chat/completions", "authorization", ANSWER, (10, 5)),
        ("groq", "/groq/v1/chat/completions", "/v1/chat/completions", "authorization", ANSWER, (10, 5)),
        ("anthropic", "/anthropic/v1/messages", "/v1/messages", "x-api-key", MESSAGE, (9, 4)),
        (
            "gemini",
            "/gemini/v1beta/models/gemini-x:generateContent",
            "/v1beta/models/gemini-x:generateContent",
            "x-goog-api-key",
            GENERATED,
            (8, 3),
        ),
        (
            "gemini",
            "/gemini/v1/models/gemini-x:generateContent",
            "/v1/models/gemini-x:generateContent",
            "x-goog-api-key",
            GENERATED,
            (8, 3),
        ),
    ],
)
async def test_it_passes_bytes_both_ways_and_bills_them(
    tmp_path: Path, kind: str, path: str, upstream: str, header: str, answer: object, usage: tuple[int, int]
) -> None:
    async with passing(tmp_path, kind) as call:
        call.say(answer, openai_processing_ms="7", set_cookie="a=b")
        client = await call(path, ODD)
        assert client.status == 200
        hit = call.mock.hits[0]
        assert (hit.method, hit.path, hit.body) == ("POST", upstream, ODD)
        assert SECRET in hit.headers[header]
        assert client.json == answer
        assert client.headers["openai-processing-ms"] == "7"
        assert client.headers["x-upstream-request-id"] == hit.request_id
        assert client.headers["x-request-id"] == client.headers["x-qlite-id"]
        assert "set-cookie" not in client.headers
        assert client.headers["x-provider"] == f"my-{kind}"
        row = await call.bench.row()
        assert (row.status, row.usage_source, row.cost_status) == ("settled", "provider", "priced")
        assert row.usage == {"input": usage[0], "output": usage[1]}
        assert row.cost_nano == usage[0] * 1000 + usage[1] * 2000
        assert row.model_asked == ("gemini-x" if kind == "gemini" else "gpt-x")
        assert client.headers["x-request-cost"] == f"0.{row.cost_nano:09d}"


async def test_only_listed_headers_go_on_and_never_the_callers_key(tmp_path: Path) -> None:
    async with passing(tmp_path, "anthropic") as call:
        call.say(MESSAGE)
        await call(
            "/anthropic/v1/messages",
            CHAT,
            anthropic_beta="new-2026",
            anthropic_version="2024-01-01",
            cookie="a=b",
            x_forwarded_for="1.2.3.4",
            openai_organization="org-x",
            x_goog_api_key="other",
            user_agent="sdk/1",
        )
        sent = call.mock.hits[0].headers
        assert sent["x-api-key"] == SECRET
        assert (sent["anthropic-beta"], sent["anthropic-version"], sent["user-agent"]) == (
            "new-2026",
            "2024-01-01",
            "sdk/1",
        )
        refused = {"authorization", "cookie", "x-forwarded-for", "openai-organization", "x-goog-api-key", "traceparent"}
        assert not refused & set(sent)
        assert "sk-ql_" not in str(call.mock.hits[0].header_lines)


async def test_geminis_key_may_stand_in_the_url_and_stays_here(tmp_path: Path) -> None:
    from tests.site.test_handler import KEY

    async with passing(tmp_path, "gemini", "openai") as call:
        call.say(GENERATED)
        path = "/gemini/v1beta/models/gemini-x:generateContent"
        query = b"key=" + KEY.text.encode() + b"&%6bey=sk-other&x=%20a+b'&alt=json"
        assert (await call(path, CHAT, query=query, authorization="")).status == 200
        assert (await call(path, CHAT, query=b"key=sk-ql_wrong", authorization="")).status == 401
        assert call.mock.hits[0].path == "/v1beta/models/gemini-x:generateContent?x=%20a+b'&alt=json"
        refused = await call("/openai/v1/models", method="GET", query=b"key=" + KEY.text.encode())
        assert (refused.status, refused.json["error"]["code"]) == (400, "key_in_url")


async def test_paths_go_on_byte_for_byte_and_never_leave_their_place(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai") as call:
        call.say({"object": "file"})
        for path in ("/openai/v1/files/a%2Fb:c,d'(e)%20~", "/openai/v1/files//x"):
            assert (await call(path, method="GET")).status == 200
            assert call.mock.hits[-1].path == path.removeprefix("/openai")
            assert call.mock.hits[-1].method == "GET"
            assert "content-length" not in call.mock.hits[-1].headers
        sent = len(call.mock.hits)
        for path in (
            "/../x",
            "/files/%2e%2E/x",
            "/files/..%2fx",
            "/a/%252e%252e/x",
            "/a\\..\\x",
            "/a/..;/x",
            "/a%0d%0ab",
        ):
            assert (await call("/openai/v1" + path, method="GET")).status in {400, 404}
        assert len(call.mock.hits) == sent


async def test_errors_of_the_provider_pass_as_they_are(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai") as call:
        said = b'{"error": {"message":"Bad",   "type":"invalid_request_error", "param":"x", "code":"odd"}}'
        call.say(said, status=400)
        client = await call("/openai/v1/chat/completions", CHAT)
        assert (client.status, client.body) == (400, said)
        assert client.headers["x-error-origin"] == "upstream"
        call.say(said, status=429, retry_after="17")
        client = await call("/openai/v1/chat/completions", CHAT)
        assert (client.status, client.body, client.headers["retry-after"]) == (429, said, "17")
        call.say(b"<html>oops " + SECRET.encode(), status=500)
        client = await call("/openai/v1/chat/completions", CHAT)
        assert (client.status, client.body) == (500, b"<html>oops ***")
        rows = await call.bench.rows()
        assert [(row.status, row.http_status, row.cost_nano) for row in rows] == [
            ("failed", 400, 0),
            ("failed", 429, 0),
            ("failed", 500, 0),
        ]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("kind", "path", "where"),
    [
        ("openai", "/openai/v1/chat/completions", ("error", "code")),
        ("anthropic", "/anthropic/v1/messages", ("error", "type")),
        ("gemini", "/gemini/v1beta/models/m:generateContent", ("error", "code")),
    ],
)
async def test_trouble_with_our_credential_is_ours(
    tmp_path: Path, kind: str, path: str, where: tuple[str, str], status: int
) -> None:
    async with passing(tmp_path, kind) as call:
        call.say({"error": {"message": "wrong key " + SECRET}}, status=status)
        client = await call(path, CHAT)
        assert client.status == 502
        assert client.json[where[0]][where[1]] in {"upstream_auth_error", "api_error", 502}
        assert SECRET.encode() not in client.body
        assert (await call.bench.row()).error == "upstream_auth_error"


async def test_a_redirect_is_never_followed_nor_handed_on(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai") as call:
        call.say({}, status=302, location="http://elsewhere.example")
        client = await call("/openai/v1/files", method="GET")
        assert (client.status, client.json["error"]["code"]) == (502, "upstream_redirect")
        assert "location" not in client.headers
        assert len(call.mock.hits) == 1


async def test_a_route_decides_where_a_model_goes(tmp_path: Path) -> None:
    def routes(mock):  # type: ignore[no-untyped-def]
        mine = of_kind("openai", mock, name="zebra", by_name=False)
        other = of_kind("groq", mock, name="aardvark")
        return [route("fast", (other, "llama"), (mine, "gpt-real"))]

    async with passing(tmp_path, "openai", routes=routes) as call:
        call.say(ANSWER)
        client = await call("/openai/v1/chat/completions", b'{"model": "fast","messages":[],  "x":1}')
        assert client.headers["x-qlite-target"] == "zebra/gpt-real"
        assert call.mock.hits[0].body == b'{"model": "gpt-real","messages":[],  "x":1}'
        assert (await call.bench.row()).route == "fast"
        await call("/openai/v1/chat/completions", CHAT)
        assert call.mock.hits[1].body.startswith(b'{"model":"gpt-x"')


async def test_a_model_without_a_route_needs_a_provider_that_is_open(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai", by_name=False) as call:
        client = await call("/openai/v1/chat/completions", CHAT)
        assert (client.status, client.json["error"]["code"]) == (404, "model_not_found")
        assert (await call("/openai/v1/files", method="GET")).status == 404
        assert (await call("/anthropic/v1/messages", CHAT)).json["type"] == "error"
        assert (await call("/gemini/v1/models/x:generateContent", CHAT)).json["error"]["status"] == "NOT_FOUND"
        assert not call.mock.hits
        assert [row.status for row in await call.bench.rows()] == ["failed"] * 4


async def test_a_key_for_certain_models_gets_those_alone(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai", "gemini") as call:
        call.say(ANSWER)
        call.allow("gpt-x", "my-gemini/*")
        assert (await call("/openai/v1/chat/completions", CHAT)).status == 200
        assert (await call("/gemini/v1/models/any:generateContent", CHAT)).status == 200
        sent = len(call.mock.hits)
        assert (await call("/openai/v1/chat/completions", CHAT | {"model": "gpt-y"})).status == 404
        assert (await call("/gemini/v1/models/any:unheardOf", CHAT)).status == 403
        twice = b'{"model":"gpt-x","model":"gpt-y","messages":[]}'
        assert (await call("/openai/v1/chat/completions", twice)).status == 400
        assert (await call("/openai/v1/chat/completions", twice, content_type="text/plain")).status == 400
        assert (await call("/openai/v1/files", method="GET")).status == 403
        assert (await call("/openai/v1/batches", CHAT)).status == 403
        assert len(call.mock.hits) == sent


async def test_nothing_passes_without_a_key(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai") as call:
        assert (await call("/openai/v1/files", method="GET", authorization="Bearer sk-ql_wrong")).status == 401
        assert (await call("/openai/v1/files", method="OPTIONS")).status == 405
        assert not call.mock.hits
        assert not await call.bench.rows()


@pytest.mark.parametrize("method", ["PUT", "PATCH", "HEAD"])
async def test_other_methods_pass_too(tmp_path: Path, method: str) -> None:
    async with passing(tmp_path, "gemini") as call:
        call.say(b"" if method == "HEAD" else {"name": "cachedContents/x"}, status=206)
        body = b"" if method == "HEAD" else b'{"ttl": "60s"}'
        client = await call("/gemini/v1beta/cachedContents/x", body, method=method, query=b"updateMask=ttl")
        assert client.status == 206
        (hit,) = call.mock.hits
        assert (hit.method, hit.path, hit.body) == (method, "/v1beta/cachedContents/x?updateMask=ttl", body)
        (row,) = await call.bench.rows()
        assert (row.status, row.usage_source, row.cost_nano) == ("settled", "none", 0)


async def test_what_it_does_not_know_passes_and_is_honest_about_usage(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai") as call:
        call.say({"object": "list", "data": []})
        assert (await call("/openai/v1/files", method="GET", query=b"limit=3")).status == 200
        call.say({"id": "x", "usage": {"input_tokens": 7, "output_tokens": 2}})
        await call("/openai/v1/novelties", {"model": "gpt-x"})
        call.say({"id": "x"})
        await call("/openai/v1/novelties", {"model": "gpt-x"})
        call.say({"deleted": True})
        await call("/openai/v1/files/f", method="DELETE")
        assert [hit.method for hit in call.mock.hits] == ["GET", "POST", "POST", "DELETE"]
        rows = await call.bench.rows()
        assert [(row.usage_source, row.cost_status, row.model_asked) for row in rows] == [
            ("none", "none", "GET files"),
            ("provider", "priced", "gpt-x"),
            ("none", "unpriced", "gpt-x"),
            ("none", "none", "DELETE files/f"),
        ]
        assert call.mock.hits[0].path == "/v1/files?limit=3"


async def test_counting_tokens_is_free(tmp_path: Path) -> None:
    async with passing(tmp_path, "anthropic") as call:
        call.say({"input_tokens": 12})
        client = await call("/anthropic/v1/messages/count_tokens", CHAT)
        assert client.json == {"input_tokens": 12}
        row = await call.bench.row()
        assert (row.usage, row.cost_status, row.cost_nano) == ({}, "free", 0)


async def test_binary_answers_go_on_as_they_come(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai") as call:
        pieces = [bytes(range(256)), 0.12, b"\x00\xff\n\n"]
        call.mock.script("*", _audio(pieces))
        client = await call("/openai/v1/audio/speech", {"model": "tts", "input": "Hi", "voice": "x"})
        assert (client.status, client.headers["content-type"]) == (200, "audio/mpeg")
        assert client.body == bytes(range(256)) + b"\x00\xff\n\n"  # and no comment in the silence
        row = await call.bench.row()
        assert (row.usage, row.status, row.usage_source) == ({"requests": 1, "characters": 2}, "settled", "provider")


async def test_bytes_that_break_off_break_off(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai") as call:
        call.mock.script("*", _audio([b"\x00" * 100], then="reset"))
        with pytest.raises(ConnectionError):
            await call("/openai/v1/audio/speech", {"model": "tts", "input": "Hi", "voice": "x"})
        row = await call.bench.row()
        assert (row.status, row.error) == ("interrupted", "stream_interrupted")


def _audio(pieces, then="end"):  # type: ignore[no-untyped-def]
    from loadtest.mockserver import Answer

    return Answer(headers={"content-type": "audio/mpeg"}, chunks=pieces, then=then)


async def test_a_compressed_answer_is_refused_since_nobody_asked_for_it(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai") as call:
        call.say(b"\x1f\x8b", content_encoding="gzip")
        client = await call("/openai/v1/chat/completions", CHAT)
        assert (client.status, client.json["error"]["code"]) == (502, "upstream_invalid_response")
        assert (await call("/openai/v1/files", b"x", content_encoding="gzip")).status == 415


async def test_forbidden_keys_never_reach_a_provider(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai") as call:
        for key in ("base_url", "api_key", "extra_headers"):
            client = await call("/openai/v1/chat/completions", CHAT | {key: "http://evil.example"})
            assert (client.status, client.json["error"]["param"]) == (400, key)
        assert not call.mock.hits


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/anthropic/v1/messages", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        ("/openai/v1/images/generations", {"error": {"message": "Not now.", "code": None}}),
    ],
)
async def test_an_error_under_a_good_status_passes_and_costs_nothing(path: str, body: Any, tmp_path: Path) -> None:
    async with passing(tmp_path, "openai", "anthropic") as call:
        call.say(body)
        client = await call(path, {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]})
        assert (client.status, client.json) == (200, body)
        (row,) = await call.bench.rows()
        assert (row.cost_nano, row.usage, row.usage_source) == (0, {}, "none")
