"""Operations of /v1 that pass to a target of OpenAI's dialect: images, audio, moderations, rerank."""

from pathlib import Path
from typing import Any

import pytest

from loadtest.mockserver import Answer, MockServer
from proxy.errors import BadRequest
from proxy.native.form import fields
from routing.values import Route
from tests.proxy.harness import route
from tests.proxy.native.harness import JSON, Passer, of_kind, passing

BOUNDARY = "----xyz"
FORM = {"content_type": f"multipart/form-data; boundary={BOUNDARY}"}
SOUND = b"RIFF\x00\r\n\r\n--" + BOUNDARY[:-1].encode() + b"\xff\r\n"


def form(*parts: tuple[str, bytes]) -> bytes:
    listed = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"
        for name, value in parts
    ]
    return b"".join(listed) + f"--{BOUNDARY}--\r\n".encode()


def routed(mock: MockServer) -> list[Route]:
    mine = of_kind("openai-compatible", mock)
    other = of_kind("anthropic", mock)
    spare = of_kind("openai-compatible", mock, name="spare")
    return [
        route("whisper", (other, "claude"), (mine, "whisper")),
        route("voice", (mine, "tts-1")),
        route("pictures", (mine, "gpt-image"), (spare, "gpt-image")),
        route("omni-moderation-latest", (mine, "")),
        route("claude", (other, "claude")),
    ]


def served(folder: Path) -> Any:
    return passing(folder, routes=routed)


async def last(call: Passer) -> Any:
    return (await call.bench.rows())[-1]


async def test_a_form_passes_untouched(tmp_path: Path) -> None:
    async with served(tmp_path) as call:
        usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "input_token_details": {"audio_tokens": 14}}
        call.say({"text": "Hi", "usage": usage})
        body = form(("file", SOUND), ("model", b"whisper"), ("language", b"en"))
        client = await call("/v1/audio/transcriptions", body, **FORM)
        assert client.status == 200, client.body
        assert (call.mock.hits[0].body, call.mock.hits[0].path) == (body, "/v1/audio/transcriptions")
        assert call.mock.hits[0].headers["content-type"] == FORM["content_type"]
        row = await last(call)
        assert row.usage == {"audio_input": 14, "output": 45, "requests": 1}
        assert (row.model_asked, row.surface, row.cost_status) == ("whisper", "transcriptions", "priced")
        assert client.headers["x-qlite-target"] == "my-openai-compatible/whisper"


async def test_a_route_renames_the_model_of_a_form_and_nothing_else(tmp_path: Path) -> None:
    async with served(tmp_path) as call:
        call.say({"text": "Hi"})
        await call("/v1/audio/translations", form(("model", b"voice"), ("file", SOUND)), **FORM)
        assert call.mock.hits[0].body == form(("model", b"tts-1"), ("file", SOUND))
        assert (await last(call)).usage == {"requests": 1}


async def test_speech_comes_back_as_bytes(tmp_path: Path) -> None:
    async with served(tmp_path) as call:
        call.mock.script("*", Answer(headers={"content-type": "audio/wav"}, body=SOUND))
        client = await call("/v1/audio/speech", {"model": "voice", "input": "Hi", "voice": "alloy"})
        assert (client.body, client.headers["content-type"]) == (SOUND, "audio/wav")
        row = await last(call)
        # The price is for tokens, and nobody counted any: that costs something unknown, not nothing.
        assert (row.usage, row.status, row.cost_status) == ({"requests": 1, "characters": 2}, "settled", "unpriced")


async def test_images_fall_back_like_chat_and_carry_tokens(tmp_path: Path) -> None:
    async with served(tmp_path) as call:
        answer = {"data": [], "usage": {"input_tokens": 8, "output_tokens": 1056, "total_tokens": 1064}}
        call.mock.script("*", Answer(status=500, body=b"{}", headers=JSON), Answer(body=b"{}", headers=JSON))
        call.mock.script("gpt-image", Answer(status=500, body=b"{}", headers=JSON), _json(answer))
        client = await call("/v1/images/generations", {"model": "pictures", "prompt": "A cat"})
        assert (client.status, client.json) == (200, answer)
        assert client.headers["x-qlite-attempts"] == "my-openai-compatible/gpt-image, spare/gpt-image"
        assert (await last(call)).usage == {"input": 8, "image_output": 1056, "requests": 1}


def _json(body: Any) -> Answer:
    import orjson

    return Answer(headers=JSON, body=orjson.dumps(body))


async def test_moderations_need_no_model_and_nothing_is_put_in(tmp_path: Path) -> None:
    async with served(tmp_path) as call:
        call.say({"results": []})
        client = await call("/v1/moderations", b'{"input": "Hi"}')
        assert (client.status, call.mock.hits[0].body) == (200, b'{"input": "Hi"}')
        assert (await last(call)).model_asked == "omni-moderation-latest"


async def test_errors_are_told_in_our_words(tmp_path: Path) -> None:
    async with served(tmp_path) as call:
        call.say({"error": {"message": "No", "code": "odd"}}, status=400)
        client = await call("/v1/rerank", {"model": "voice", "query": "x", "documents": []})
        assert (client.status, client.json["error"]["message"], client.json["error"]["code"]) == (400, "No", "odd")
        call.say({}, status=500)
        client = await call("/v1/rerank", {"model": "voice", "query": "x", "documents": []})
        assert (client.status, client.json["error"]["code"]) == (502, "upstream_error")


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/rerank", {"query": "x"}, 400, "missing_required_parameter"),
        ("/v1/rerank", {"model": 1}, 400, "invalid_type"),
        ("/v1/rerank", {"model": "unknown"}, 404, "model_not_found"),
        ("/v1/rerank", {"model": "claude"}, 400, "unsupported"),
        ("/v1/rerank", {"model": "voice", "api_base": "http://x"}, 400, "unsupported_parameter"),
        ("/v1/rerank", b"{", 400, "invalid_json"),
        ("/v1/images/generations", b'{"model":"voice","model":"claude"}', 400, "duplicate_key"),
    ],
)
async def test_it_refuses(tmp_path: Path, path: str, body: Any, status: int, code: str) -> None:
    async with served(tmp_path) as call:
        client = await call(path, body)
        assert (client.status, client.json["error"]["code"]) == (status, code)
        assert client.json["error"]["param"] or code in {"invalid_json", "duplicate_key"}
        assert not call.mock.hits
        assert (await last(call)).status == "failed"


async def test_a_key_for_other_models_gets_nothing_here(tmp_path: Path) -> None:
    async with served(tmp_path) as call:
        call.allow("gpt*")
        body = form(("model", b"whisper"), ("file", SOUND))
        assert (await call("/v1/audio/transcriptions", body, **FORM)).status == 404
        assert not call.mock.hits


def test_it_finds_the_fields_of_a_form() -> None:
    raw = form(("file", SOUND), ("model", b"whisper"), ("empty", b""))
    found = {name: raw[place.start : place.end] for name, place in fields(raw, FORM["content_type"]).items()}
    assert found == {"file": SOUND, "model": b"whisper", "empty": b""}
    quoted = raw.replace(BOUNDARY.encode(), b"a b")
    assert list(fields(b"preamble\r\n" + quoted, 'multipart/form-data; boundary="a b"')) == ["file", "model", "empty"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"--",
        form(("model", b"a"), ("model", b"b")),
        form(("model", b"a"))[:-6],
        form(("model", b"a")).replace(b"\r\n\r\n", b"\n\n"),
        form(("model", b"a")).replace(b'name="model"', b'name="x"; name="model"'),
        form(("model", b"a")).replace(b"Content-D", b"X-D"),
    ],
)
def test_it_refuses_a_form_that_may_be_read_in_two_ways(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        fields(raw, FORM["content_type"])
    with pytest.raises(BadRequest):
        fields(raw, "multipart/form-data")


async def test_an_error_under_a_good_status_is_an_error(tmp_path: Path) -> None:
    async with served(tmp_path) as call:
        call.say({"error": {"code": 429, "message": "Slow down."}})
        client = await call("/v1/images/generations", {"model": "pictures", "prompt": "A cat."})
        assert (client.status, client.json["error"]["code"]) == (429, "upstream_rate_limited")
        row = await last(call)
        assert (row.status, row.cost_nano, [each.status for each in row.attempts]) == ("failed", 0, ["failed"] * 2)
