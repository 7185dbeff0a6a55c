"""Gemini's streams as the gateway's core reads them: errors at the start and in the middle, and ends without notice."""

from pathlib import Path

import orjson
import pytest

from proxy import chat as chats
from proxy import sse
from proxy.dialects.gemini import GeminiCaller
from proxy.dialects.openai_chat import ChatEncoder
from proxy.errors import StreamCut, UpstreamError
from proxy.passage import Passage
from proxy.providers.gemini import Gemini
from proxy.translation import Translation

GOLDEN = Path(__file__).parents[2] / "golden" / "gemini" / "stream"
CHAT = chats.parse(b'{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true}')
CALLER = GeminiCaller()
ASKED = CALLER.parse(b'{"contents":[{"parts":[{"text":"x"}]}]}', model="m", stream=True)


class Bytes:
    """A provider's answer, in pieces of 50 bytes."""

    patience = float("inf")

    def __init__(self, raw: bytes) -> None:
        self._pieces = [raw[place : place + 50] for place in range(0, len(raw), 50)]

    @property
    def ended(self) -> bool:
        return not self._pieces

    async def next(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def close(self) -> None:
        self._pieces = []


def raw(name: str) -> bytes:
    return (GOLDEN / f"{name}.sse").read_bytes()


def translation(name: str) -> Translation:
    return Translation(Bytes(raw(name)), Gemini().stream(CHAT), ChatEncoder(wants_usage=True))


def passage(name: str) -> Passage:
    return Passage(Bytes(raw(name)), CALLER.watcher(), CALLER.encoder(ASKED))


async def all_of(stream: Translation | Passage) -> bytes:
    await stream.begin()
    out = b""
    while part := await stream.next():
        out += part
    return out


async def test_it_translates_to_the_last_chunk() -> None:
    stream = translation("call-then-stop")
    chunks = [orjson.loads(sse.data_of(event) or b"") for event in sse.events(await all_of(stream))]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, "tool_calls"]
    assert stream.usage is not None
    assert stream.closing("0.1", wants_usage=True).endswith(b": x-request-cost=0.1\n\ndata: [DONE]\n\n")


async def test_it_passes_every_byte_to_geminis_callers_and_puts_no_comment_there() -> None:
    stream = passage("thoughts-then-text")
    assert await all_of(stream) == raw("thoughts-then-text")
    assert stream.closing("0.1", wants_usage=False) == b""
    assert stream.usage is not None


@pytest.mark.parametrize("make", [translation, passage])
@pytest.mark.parametrize(
    ("name", "status", "code"),
    [("error-event-first", 429, "upstream_rate_limited"), ("error-bare-list", 400, "context_length_exceeded")],
)
async def test_an_error_at_the_start_is_an_answer_of_its_own(make, name: str, status: int, code: str) -> None:
    with pytest.raises(UpstreamError) as raised:
        await make(name).begin()
    assert (raised.value.status, raised.value.code) == (status, code)
    assert not isinstance(raised.value, StreamCut)


async def test_it_says_how_long_to_wait_if_a_stream_begins_with_a_limit() -> None:
    with pytest.raises(UpstreamError) as raised:
        await translation("error-event-first").begin()
    assert raised.value.retry_after == 37


@pytest.mark.parametrize("make", [translation, passage])
@pytest.mark.parametrize("name", ["error-event", "error-bare"])
async def test_an_error_in_the_middle_ends_the_stream_with_its_words(make, name: str) -> None:
    stream = make(name)
    await stream.begin()
    assert b"Hel" in await stream.next()
    with pytest.raises(StreamCut, match="verloaded"):
        await stream.next()


@pytest.mark.parametrize("make", [translation, passage])
async def test_an_end_without_a_reason_is_a_cut(make) -> None:
    with pytest.raises(StreamCut, match="before the answer was complete"):
        await all_of(make("cut-without-finish"))


async def test_a_model_that_fails_at_once_leaves_room_for_another_target() -> None:
    with pytest.raises(UpstreamError) as raised:
        await translation("malformed-call").begin()
    assert raised.value.try_next
