"""What is not billed by the token of text: images, sound, seconds, searches, calls; and what nobody bills."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from accounts import pricelists
from accounts.prices import Book, Price, Usage
from loadtest.mockserver import Answer
from tests.proxy.billing.surfaces import BILLS, BY_REQUEST, NANO, WAYS, Surface, cost_of
from tests.proxy.billing.test_matrix import Leaver, ask, billing
from tests.proxy.native.harness import Passer

MODEL = "my-openai/m-1"
FORM = (
    b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nmy-openai/m-1\r\n--x\r\n'
    b'content-disposition: form-data; name="file"; filename="a"\r\n\r\n\x00\xff\r\n--x--\r\n'
)
IMAGE = {"model": MODEL, "prompt": "A cat.", "n": 2}
DRAWN = {
    "input_tokens": 50,
    "output_tokens": 200,
    "total_tokens": 250,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
}
TOLD = {"input_tokens": 9, "output_tokens": 100}
HEARD = {
    "type": "tokens",
    "input_tokens": 30,
    "output_tokens": 12,
    "total_tokens": 42,
    "input_token_details": {"text_tokens": 5, "audio_tokens": 25},
}
DONE = (
    b'event: speech.audio.done\ndata: {"type":"speech.audio.done","usage":{"input_tokens":9,"output_tokens":100}}\n\n'
)
PICTURE = b'data: {"type":"image_generation.completed","b64_json":"AA","usage":' + orjson.dumps(DRAWN) + b"}\n\n"
RANKED = {"model": MODEL, "query": "a", "documents": ["b"]}
Units = dict[str, int]

# What is asked, what comes back, the units, and the bill in nano-USD by the prices of surfaces.py.
OPERATIONS: list[tuple[str, Any, Any, Units, int]] = [
    ("images/generations", IMAGE, {"data": [{}, {}]}, {"requests": 2}, 80_000),
    (
        *("images/generations", IMAGE, {"data": [{}, {}], "usage": DRAWN}),
        *({"requests": 2, "input": 10, "image_input": 40, "image_output": 200}, 4_150_000),
    ),
    (
        "images/generations",
        IMAGE | {"stream": True},
        [PICTURE],
        {"requests": 1, "input": 10, "image_input": 40, "image_output": 200},
        4_110_000,
    ),
    ("images/edits", FORM, {"data": [{}, {}, {}]}, {"requests": 3}, 120_000),
    ("audio/speech", {"model": MODEL, "input": "Hé"}, b"\x00\xffID3", {"requests": 1, "characters": 2}, 52_000),
    (
        "audio/speech",
        {"model": MODEL, "input": "Hi", "stream_format": "sse"},
        [DONE],
        {"requests": 1, "input": 9, "audio_output": 100},
        1_349_000,
    ),
    (
        "audio/transcriptions",
        FORM,
        {"text": "Hi", "usage": HEARD},
        {"requests": 1, "input": 5, "audio_input": 25, "output": 12},
        380_000,
    ),
    (
        "audio/transcriptions",
        FORM,
        {"text": "Hi", "usage": {"type": "duration", "seconds": 17}},
        {"requests": 1, "seconds": 17},
        5_140_000,
    ),
    ("audio/transcriptions", FORM, {"text": "Hi", "duration": 8.47}, {"requests": 1, "seconds": 9}, 2_740_000),
    ("audio/transcriptions", FORM, {"text": "Hi", "duration": "3.0"}, {"requests": 1, "seconds": 3}, 940_000),
    ("audio/translations", FORM, {"text": "Hi", "duration": "long"}, {"requests": 1}, 40_000),
    ("audio/translations", FORM, {"text": "Hi", "duration": -1}, {"requests": 1}, 40_000),
    ("audio/translations", FORM, {"text": "Hi", "duration": float("inf")}, {"requests": 1}, 40_000),
    ("moderations", {"model": MODEL, "input": "Hi"}, {"results": []}, {"requests": 1}, 40_000),
    (
        "rerank",
        RANKED,
        {"results": [], "meta": {"billed_units": {"search_units": 3}}},
        {"requests": 1, "searches": 3},
        30_040_000,
    ),
    ("rerank", RANKED, {"results": [], "usage": {"total_tokens": 20}}, {"requests": 1, "input": 20}, 60_000),
    ("rerank", RANKED, {"results": [], "meta": {"billed_units": {"search_units": "3"}}}, {"requests": 1}, 40_000),
]


def said(body: Any) -> Answer:
    if isinstance(body, list):
        return Answer(headers={"content-type": "text/event-stream"}, chunks=body)
    if isinstance(body, bytes):
        return Answer(headers={"content-type": "audio/mpeg"}, body=body)
    return Answer(headers={"content-type": "application/json"}, body=orjson.dumps(body))


async def call(gw: Passer, path: str, body: Any) -> Any:
    kind = "multipart/form-data; boundary=x" if body is FORM else "application/json"
    return await gw(path, body, content_type=kind)


@pytest.mark.parametrize("where", ["/v1/", "/openai/v1/"])
@pytest.mark.parametrize(("path", "body", "answer", "units", "cost"), OPERATIONS)
async def test_operations_are_metered_in_their_own_units(
    tmp_path: Path, where: str, path: str, body: Any, answer: Any, units: Units, cost: int
) -> None:
    if path == "images/edits":
        where = "/openai/v1/"  # there is no other address for it
    async with billing(tmp_path, "openai", BY_REQUEST) as gw:
        gw.mock.script("*", said(answer))
        client = await call(gw, where + path, body)
        row = await gw.bench.row()
    assert (client.status, row.status, row.usage_source, row.cost_status) == (200, "settled", "provider", "priced")
    assert (row.usage, row.cost_nano) == (units, cost)


@pytest.mark.parametrize("path", ["images/generations", "audio/speech", "audio/transcriptions", "rerank"])
@pytest.mark.parametrize("status", [400, 500, 0])
async def test_an_operation_that_fails_costs_nothing_unless_it_may_have_been_done(
    tmp_path: Path, path: str, status: int
) -> None:
    async with billing(tmp_path, "openai", BY_REQUEST) as gw:
        lost = Answer(headers={"content-length": "100"}, body=b"{}", then="cut")
        gw.mock.script("*", Answer(status=status, body=b"{}") if status else lost)
        await call(gw, f"/v1/{path}", FORM if "transcriptions" in path else RANKED | IMAGE | {"input": "Hi"})
        row = await gw.bench.row()
    if status:
        assert (row.status, row.usage, row.usage_source, row.cost_nano) == ("failed", {}, "none", 0)
    else:
        spoken = {"characters": 2} if path == "audio/speech" else {}
        assert (row.status, row.usage, row.usage_source) == ("interrupted", {"requests": 1} | spoken, "estimated")
        assert row.cost_nano == (52_000 if spoken else 40_000)


@pytest.mark.parametrize("where", ["/v1/", "/openai/v1/"])
async def test_who_leaves_in_the_middle_of_a_sound_pays_for_the_call(tmp_path: Path, where: str) -> None:
    async with billing(tmp_path, "openai", BY_REQUEST) as gw:
        gw.mock.script("*", Answer(headers={"content-type": "audio/mpeg"}, chunks=[b"\xff" * 99, 0.01], then="hang"))
        client = Leaver("POST", f"{where}audio/speech", {"model": MODEL, "input": "Hi"})
        client.scope["raw_path"] = f"{where}audio/speech".encode()
        await asyncio.wait_for(client(gw._handler), 5)
        async with asyncio.timeout(1):
            while not gw.mock.hits[0].ended:
                await asyncio.sleep(0.005)
        row = await gw.bench.row()
    assert gw.mock.hits[0].peer_closed
    assert (row.status, row.client_gone, row.cost_nano) == ("interrupted", True, 52_000)
    assert row.usage == {"requests": 1, "characters": 2}


async def test_a_call_alone_is_unpriced_where_only_tokens_have_a_price(tmp_path: Path) -> None:
    async with billing(tmp_path, "openai", BY_REQUEST) as gw:
        gw.bench.gateway.book = Book([Price(1, "", "", "*", 0.0, {"input": 1, "output": 1})])
        gw.mock.script("*", said(b"sound"))
        await call(gw, "/v1/audio/speech", {"model": MODEL, "input": "Hi"})
        row = await gw.bench.row()
    assert (row.usage, row.cost_status, row.cost_nano) == ({"requests": 1, "characters": 2}, "unpriced", 0)


@pytest.mark.parametrize(
    ("amounts", "cost"), [({"characters": 15 * 10**9}, 30_000), ({"requests": 9 * 10**9}, 9_000), ({"input": 1}, None)]
)
async def test_speech_is_priced_by_its_letters_or_by_the_call(
    tmp_path: Path, amounts: dict[str, int], cost: int | None
) -> None:
    async with billing(tmp_path, "openai", BY_REQUEST) as gw:
        gw.bench.gateway.book = Book([Price(1, "", "", "*", 0.0, amounts)])
        gw.mock.script("*", said(b"sound"))
        await call(gw, "/v1/audio/speech", {"model": MODEL, "input": "Hi"})
        row = await gw.bench.row()
    assert (row.cost_status, row.cost_nano) == (("unpriced", 0) if cost is None else ("priced", cost))


def test_the_prices_that_ship_know_what_reading_aloud_costs() -> None:
    offers = pricelists.read((Path(pricelists.__file__).parents[1] / "prices.json").read_text()).offers
    book = Book([Price(n, "", each.kind, each.model, 0.0, each.amounts) for n, each in enumerate(offers)])
    for model, cost in (("tts-1", 15_000), ("tts-1-1106", 15_000), ("tts-1-hd", 30_000), ("gpt-4o-mini-tts", 15_000)):
        charge = book.charge("p", "openai", model, Usage(requests=1, characters=1), at=1.0)
        assert (charge.status, charge.cost_nano) == ("priced", cost)
    told = Usage(requests=1, input=10, audio_output=100)
    assert book.charge("p", "openai", "gpt-4o-mini-tts", told, at=1.0).cost_nano == 10 * 600 + 100 * 12_000


HELLO = {"model": "my-KIND/m-1", "messages": [{"role": "user", "content": "Hello"}]}
CONTENTS = {"contents": [{"parts": [{"text": "Hello"}]}]}
COUNTS: list[tuple[str, str, Any, Any]] = [
    *((kind, "/v1/messages/count_tokens", HELLO, {"input_tokens": 9}) for kind in ("anthropic", "openai", "gemini")),
    *(
        (kind, f"/{version}/models/my-{kind}/m-1:countTokens", CONTENTS, {"totalTokens": 9})
        for kind in ("gemini", "openai", "anthropic")
        for version in ("v1", "v1beta")
    ),
    ("anthropic", "/anthropic/v1/messages/count_tokens", HELLO | {"model": "m"}, {"input_tokens": 9}),
    ("gemini", "/gemini/v1beta/models/m:countTokens", CONTENTS, {"totalTokens": 9}),
]


@pytest.mark.parametrize("fate", ["well", "cut", "500"])
@pytest.mark.parametrize(("kind", "path", "body", "answer"), COUNTS)
async def test_counting_tokens_is_free_whatever_becomes_of_it(
    tmp_path: Path, kind: str, path: str, body: Any, answer: Any, fate: str
) -> None:
    fates = {
        "well": said(answer),
        "cut": Answer(headers={"content-length": "100"}, body=b"{", then="cut"),
        "500": Answer(status=500, body=b"{}"),
    }
    async with billing(tmp_path, kind) as gw:
        gw.mock.script("*", fates[fate])
        asked = body | {"model": body["model"].replace("KIND", kind)} if "model" in body else body
        client = await gw(path, asked)
        row = await gw.bench.row()
    assert (client.status == 200) is (fate == "well" or not gw.mock.hits)
    assert (row.cost_nano, row.usage_source != "provider", row.cost_status) == (0, True, "free")
    assert fate != "well" or row.usage == {}


# Answers in words; embeddings are made without a search.
SEARCHING = [way for way in WAYS if way[0].kind == "gemini" and way[0].wire.says]
SEARCHED = {"groundingMetadata": {"webSearchQueries": ["a", "b", "a"]}}


@pytest.mark.parametrize(("model", "count"), [("gemini-2.5-pro", 1), ("gemini-3-pro", 2), (None, 2)])
@pytest.mark.parametrize(("surface", "stream"), SEARCHING, ids=str)
async def test_geminis_searches_are_billed_by_the_prompt_or_by_the_query(
    tmp_path: Path, surface: Surface, stream: bool, model: str | None, count: int
) -> None:
    wire = surface.way(stream=stream)[2]
    used, classes, cost = BILLS[id(wire)]
    answer = wire.answer(used, stream=stream)
    found = b'"groundingMetadata":' + orjson.dumps(SEARCHED["groundingMetadata"]) + b',"finishReason":"STOP"'
    said = b'"modelVersion":' + orjson.dumps(model) + b',"candidates"'

    def told(raw: bytes) -> bytes:
        bare = raw.replace(b'"modelVersion":"gemini-x",', b"")
        return bare.replace(b'"finishReason":"STOP"', found).replace(b'"candidates"', said)

    chunks = [told(each) for each in answer.chunks or () if isinstance(each, bytes)]
    answer = replace(answer, chunks=chunks) if stream else replace(answer, body=told(answer.body or b""))
    async with billing(tmp_path, "gemini") as gw:
        gw.mock.script("*", answer)
        await ask(gw, surface, stream=stream)
        row = await gw.bench.row()
    assert (row.usage, row.cost_nano) == (classes | {"searches": count}, cost + count * 10_000_000)


UNKNOWN: list[tuple[str, str, bytes, Answer, Units, str]] = [
    (
        "openai",
        "/openai/v1/new/thing",
        b'{"model":"m"}',
        said({"usage": {"prompt_tokens": 7, "completion_tokens": 2}}),
        {"input": 7, "output": 2},
        "provider",
    ),
    ("openai", "/openai/v1/new/thing", b'{"model":"m"}', said({"fine": True}), {}, "none"),
    ("openai", "/openai/v1/new/thing", b"\x00\xff\x80", said(b"\xff\x00"), {}, "none"),
    (
        "openai",
        "/openai/v1/new/thing",
        b"{}",
        said(
            [
                b'data: {"usage":{"prompt_tokens":7}}\n\n',
                b'data: {"usage":{"prompt_tokens":7,"completion_tokens":9}}\n\n',
            ]
        ),
        {"input": 7, "output": 9},
        "provider",
    ),
    (
        "groq",
        "/groq/openai/v1/new",
        b"{}",
        said({"x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 1}}}),
        {"input": 3, "output": 1},
        "provider",
    ),
    (
        "anthropic",
        "/anthropic/v1/new",
        b"{}",
        said({"usage": {"input_tokens": 4, "output_tokens": 2, "cache_read_input_tokens": 5}}),
        {"input": 4, "cached_input": 5, "output": 2},
        "provider",
    ),
    (
        "gemini",
        "/gemini/v1beta/models/m:new",
        b"{}",
        said({"usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 2}}),
        {"input": 4, "output": 2},
        "provider",
    ),
    (
        "gemini",
        "/gemini/v1beta/models/m:embedContent",
        b'{"content":{"parts":[{"text":"Count to four, please."}]}}',
        said({"embedding": {"values": [1.5]}}),
        {"input": 6},
        "estimated",
    ),
    (
        "gemini",
        "/gemini/v1beta/models/m:batchEmbedContents",
        b'{"requests":[{"content":{"parts":[{"text":"Count to four, please."}]}}]}',
        said({"embeddings": []}),
        {"input": 6},
        "estimated",
    ),
]


@pytest.mark.parametrize(("kind", "path", "body", "answer", "units", "source"), UNKNOWN)
async def test_unknown_paths_are_billed_by_what_their_answer_reports(
    tmp_path: Path, kind: str, path: str, body: bytes, answer: Answer, units: Units, source: str
) -> None:
    async with billing(tmp_path, kind) as gw:
        gw.mock.script("*", answer)
        client = await gw(path, body)
        row = await gw.bench.row()
    assert (client.status, row.status, row.usage, row.usage_source) == (200, "settled", units, source)
    assert row.cost_nano == cost_of(units)


def test_the_prices_of_these_tests_tell_all_units_apart() -> None:
    assert len(set(NANO.values())) == len(NANO)
