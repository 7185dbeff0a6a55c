"""The dialect of Gemini's callers against its golden files: what is asked, what is answered, what is streamed."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.prices import Usage
from proxy import chat as chats
from proxy import sse
from proxy.dialects.base import Asked, Dialect
from proxy.dialects.gemini import GeminiCaller
from proxy.dialects.gemini.frames import ArrayChunks, ArrayFrames
from proxy.errors import BadRequest, ModelNotFound, NotAuthenticated, StreamCut, UpstreamError
from proxy.providers.gemini.usage import as_gemini, parse_usage

GOLDEN = Path(__file__).parents[2] / "golden" / "gemini-caller"
CALLER = GeminiCaller()


def cases(folder: str) -> list[str]:
    names = [path.name.removesuffix(".json") for path in (GOLDEN / folder).glob("*.json")]
    return sorted(name for name in names if not name.endswith(".expected"))


def golden(folder: str, name: str) -> Any:
    return orjson.loads((GOLDEN / folder / name).read_bytes())


def asked(config: dict[str, Any] | None = None, *, stream: bool = False) -> Asked:
    body = {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": config or {}}
    return CALLER.parse(orjson.dumps(body), model="asked", stream=stream)


def inner(case: dict[str, Any]) -> dict[str, Any]:
    try:
        parsed = CALLER.parse(
            orjson.dumps(case["body"]), model=case["model"], stream=case["stream"], operation=case["operation"]
        )
        chat = CALLER.chat(parsed)
    except BadRequest as no:
        return {"refused": {"param": no.param, "code": no.code, "message": no.message}}
    assert parsed.model == "asked"
    assert chats.parse(orjson.dumps(chat)).stream is case["stream"]
    return {"chat": chat, "ignored": list(CALLER.ignored(parsed))}


def encoded(case: dict[str, Any]) -> bytes:
    encoder = CALLER.encoder(asked(case.get("config"), stream=True))
    out = b"".join(encoder.feed(chunk) for chunk in case["chunks"])
    if error := case.get("error"):
        return out + encoder.error(StreamCut(error["message"], status=error["status"], code=error["code"]))
    before, after = encoder.end(Usage(**case["usage"]) if case["usage"] else None, case["cost"])
    return out + before + after


@pytest.mark.parametrize("name", cases("request"))
def test_it_says_a_request_as_a_chat(name: str) -> None:
    assert inner(golden("request", f"{name}.json")) == golden("request", f"{name}.expected.json")


@pytest.mark.parametrize("name", cases("reply"))
def test_it_says_a_completion_as_a_response(name: str) -> None:
    case = golden("reply", f"{name}.json")
    assert CALLER.reply(case["body"], asked(case.get("config"))) == golden("reply", f"{name}.expected.json")


@pytest.mark.parametrize("name", cases("stream"))
def test_it_streams_chunks_as_responses(name: str) -> None:
    raw = encoded(golden("stream", f"{name}.json"))
    assert raw == (GOLDEN / "stream" / f"{name}.expected.sse").read_bytes()


@pytest.mark.parametrize("name", cases("stream"))
def test_it_makes_an_array_of_a_stream_for_who_did_not_ask_for_events(name: str) -> None:
    raw = (GOLDEN / "stream" / f"{name}.expected.sse").read_bytes()
    frames = ArrayFrames()
    array = frames.feed(raw[: raw.index(b"\n\r\n") + 3]) + frames.feed(b": a comment\n\n") + frames.end()
    whole = ArrayFrames()
    assert orjson.loads(array) == orjson.loads(whole.feed(raw) + whole.end())[:1]
    listed = [orjson.loads(sse.data_of(event) or b"") for event in sse.events(raw)]
    again = ArrayFrames()
    assert orjson.loads(again.feed(raw) + again.end()) == listed


class Blocks:
    """Blocks of events as the core hands them on; `late` where the end shows only in an empty one."""

    def __init__(self, blocks: list[bytes], *, late: bool) -> None:
        self._blocks, self._late, self.over, self.closed = blocks, late, False, False

    async def next(self) -> bytes:
        block = self._blocks.pop(0) if self._blocks else b""
        self.over = not self._blocks and (not self._late or not block)
        return block

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize(
    ("blocks", "array"),
    [
        ([b'data: {"a":1}\n\n', b": ping\n\n", b'data: {"b":2}\n\ndata: {"c":3}\n\n'], [{"a": 1}, {"b": 2}, {"c": 3}]),
        ([b": ping\n\n"], []),
        ([], []),
    ],
)
async def test_it_ends_an_array_when_the_stream_does(blocks: list[bytes], array: list[Any], late: bool) -> None:
    source = Blocks(list(blocks), late=late)
    chunks, parts = ArrayChunks(source), []
    while not chunks.over:
        parts.append(await chunks.next())
    assert orjson.loads(b"".join(parts)) == array
    assert await chunks.next() == b""
    chunks.close()
    assert source.closed


def test_there_are_enough_golden_files() -> None:
    assert [len(cases(folder)) for folder in ("request", "reply", "stream")] >= [25, 20, 20]


def test_it_is_a_dialect() -> None:
    checked: Dialect = CALLER
    assert checked.name == "gemini"


@pytest.mark.parametrize(
    ("error", "code", "status", "reason"),
    [
        (BadRequest("no", param="contents"), 400, "INVALID_ARGUMENT", "INVALID_VALUE"),
        (NotAuthenticated("no"), 401, "UNAUTHENTICATED", "INVALID_API_KEY"),
        (ModelNotFound("m"), 404, "NOT_FOUND", "MODEL_NOT_FOUND"),
        (UpstreamError("no", status=422), 422, "INVALID_ARGUMENT", "UPSTREAM_ERROR"),
        (UpstreamError("no", status=429, code="upstream_rate_limited", retry_after=36), 429, "RESOURCE_EXHAUSTED",
         "UPSTREAM_RATE_LIMITED"),
        (UpstreamError("no"), 502, "UNAVAILABLE", "UPSTREAM_ERROR"),
        (UpstreamError("no", status=500), 500, "INTERNAL", "UPSTREAM_ERROR"),
        (UpstreamError("no", status=504), 504, "DEADLINE_EXCEEDED", "UPSTREAM_ERROR"),
    ],
)  # fmt: skip
def test_it_says_errors_as_google_does(error: UpstreamError, code: int, status: str, reason: str) -> None:
    told = CALLER.error(error, "req-1")["error"]
    assert (told["code"], told["message"], told["status"]) == (code, error.message, status)
    assert told["details"][0]["reason"] == reason
    waits = [detail["retryDelay"] for detail in told["details"] if "retryDelay" in detail]
    assert waits == ([f"{error.retry_after}s"] if error.retry_after else [])


def test_it_says_which_parameter_is_wrong() -> None:
    detail, as_google = CALLER.error(BadRequest("no", param="contents[0]"), "")["error"]["details"]
    assert detail["metadata"] == {"param": "contents[0]"}
    assert as_google["fieldViolations"] == [{"field": "contents[0]", "description": "no"}]


def test_it_answers_a_count_and_bills_none() -> None:
    counted = CALLER.counted(31)
    assert counted["totalTokens"] == 31
    assert CALLER.usage(counted) is None


@pytest.mark.parametrize(
    "body", [b"[]", b"{", b'{"contents":[],"contents":[]}', b'{"contents":5}', b'{"contents":[1]}']
)
def test_it_refuses_what_is_no_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        CALLER.parse(body, model="m")


def test_it_needs_a_model() -> None:
    with pytest.raises(BadRequest) as no:
        CALLER.parse(b'{"contents":[{"parts":[{"text":"x"}]}]}')
    assert no.value.param == "model"


def test_it_reads_the_tier_that_google_served() -> None:
    usage = parse_usage({"promptTokenCount": 1, "serviceTier": "STANDARD"})
    assert usage is not None and usage.service_tier == "standard"


def test_the_model_of_the_url_is_the_one_that_counts() -> None:
    raw = b'{"model":"models/other","contents":[{"parts":[{"text":"x"}]}]}'
    assert CALLER.parse(raw, model="models/asked").model == "asked"
    assert CALLER.parse(raw).model == "other"


tokens = st.integers(0, 10**9)


@given(st.builds(Usage, tokens, tokens, st.just(0), tokens, tokens, tokens, tokens, st.just(0), cached_audio=tokens))
def test_it_reads_the_usage_that_it_writes(usage: Usage) -> None:
    assert parse_usage(as_gemini(usage)) == usage
