import orjson
import pytest

from accounts.prices import Usage
from proxy import chat
from proxy.errors import UpstreamError
from proxy.providers.openai import OpenAI, parse_usage
from proxy.providers.refusals import answered
from routing.values import Provider, Target

PROVIDER = Provider("p", "openai", "https://api.example/v1", secret="sk-canary")
TARGET = Target("m", PROVIDER, "upstream-model")


def test_it_puts_in_the_upstream_name_and_asks_for_usage() -> None:
    raw = b'{"model": "m", "messages": [{"role": "user", "content": "\\u00e9"}], "stream": true, "odd": 1.0}'
    out = OpenAI().request(chat.parse(raw), TARGET)
    assert out.url == "https://api.example/v1/chat/completions"
    assert out.body == raw.replace(b'"m"', b'"upstream-model"', 1)[:-1] + b',"stream_options":{"include_usage":true}}'
    assert ("authorization", "Bearer sk-canary") in out.headers


def test_it_leaves_a_request_alone_where_nothing_is_to_change() -> None:
    raw = b'{"model": "upstream-model", "messages": [{"role": "user", "content": "x"}]}'
    assert OpenAI().request(chat.parse(raw), TARGET).body is raw


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5}, Usage(input=10, output=5)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, None),
        ({"prompt_tokens": 10}, Usage(input=10)),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 5, "cache_write_tokens": 10},
                "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 2},
            },
            Usage(input=25, cached_input=60, cache_write=10, audio_input=5, output=18, reasoning=30, audio_output=2),
        ),
        # 100 tokens of sound, of which the 50 that are not from the cache have room for no more than 50.
        (
            {
                "prompt_tokens": 130,
                "prompt_tokens_details": {"cached_tokens": 80, "audio_tokens": 100},
            },
            Usage(cached_input=30, audio_input=50, cached_audio=50),
        ),
        (
            {
                "prompt_tokens": 100,
                "prompt_tokens_details": {"cached_tokens": 90, "audio_tokens": 30, "image_tokens": 60},
            },
            Usage(cached_input=10, audio_input=10, cached_audio=20, cached_image=60),
        ),
        (
            {
                "prompt_tokens": 10,
                "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 8, "audio_tokens": 10},
            },
            Usage(cached_audio=2, cache_write=8),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 18,
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(input=10, output=5, reasoning=3),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 1, "prompt_cache_hit_tokens": 4}, Usage(6, 4, output=1)),
        ({"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": None}, Usage(10, output=1)),
        ({"prompt_tokens": -1, "completion_tokens": 1}, None),
        ({"prompt_tokens": "10", "completion_tokens": 1}, None),
        ({"prompt_tokens": 10**18, "completion_tokens": 1}, None),
        ({"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 6}}, None),
        ({"prompt_tokens": True, "completion_tokens": 1}, None),
        ({}, None),
    ],
)
def test_it_reads_usage_as_disjoint_classes(reported: dict, usage: Usage | None) -> None:
    assert parse_usage(reported) == usage


def error(status: int, body: object = None, **headers: str) -> UpstreamError:
    raw = body if isinstance(body, bytes) else orjson.dumps(body or {})
    return answered(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw, TARGET)


@pytest.mark.parametrize(
    ("status", "reply", "code", "try_next"),
    [
        (400, 400, "context_length_exceeded", False),
        (413, 413, "context_length_exceeded", False),
        (422, 422, "context_length_exceeded", False),
        (401, 502, "upstream_auth_error", True),
        (403, 502, "upstream_auth_error", True),
        (404, 404, "model_not_found", True),
        (429, 429, "upstream_rate_limited", True),
        (302, 502, "upstream_redirect", True),
        (500, 502, "upstream_error", True),
        (503, 503, "upstream_error", True),
        (529, 503, "upstream_error", True),
    ],
)
def test_it_says_who_is_to_blame(status: int, reply: int, code: str, try_next: bool) -> None:
    body = {"error": {"message": "too long", "type": "invalid_request_error", "param": "messages"}}
    body["error"]["code"] = "context_length_exceeded"
    said = error(status, body)
    assert (said.status, said.code, said.try_next, said.upstream_status) == (reply, code, try_next, status)


def test_it_keeps_the_words_of_a_refusal_but_not_our_secrets() -> None:
    body = {
        "error": {"message": "bad key sk-canary at https://api.example/v1", "type": "t", "param": "p", "code": None}
    }
    said = error(400, body)
    assert said.body() == {"error": {"message": "bad key *** at ***", "type": "t", "param": "p", "code": None}}
    assert "sk-canary" not in str(error(401, body).body())


@pytest.mark.parametrize("body", [b"<html>no</html>", b"", b"[1]", b'{"error": "text"}', b'{"error": null}', b"null"])
def test_it_takes_any_error_body(body: bytes) -> None:
    assert error(400, body).status == 400
    assert error(500, body).status == 502


@pytest.mark.parametrize(
    ("header", "wait"),
    [("1", 1), ("0.2", 1), ("99999", 3600), ("soon", 1), ("-5", 1), ("nan", 1), ("inf", 3600), ("", 1)],
)
def test_it_reads_when_to_come_again(header: str, wait: int) -> None:
    assert error(429, retry_after=header).retry_after == wait
