"""The load client against the mock: what it counts, what it compares, which silences it calls stalls."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from loadtest.client.caller import Broken, Caller, unchunk
from loadtest.client.pulse import Gap, Pulse
from loadtest.client.request import Ask, Requests, Where
from loadtest.client.verdict import Verdict, meaning
from loadtest.drive import closed_loop, once, paired
from loadtest.mockserver import Answer, MockServer


@pytest.fixture
async def mock() -> AsyncIterator[MockServer]:
    async with MockServer() as server:
        yield server


def at(mock: MockServer) -> Where:
    return Where("mock", mock.port, "sk-test")


async def test_it_reads_a_whole_answer_of_either_kind(mock: MockServer) -> None:
    plain = await once(at(mock), Ask("ok"))
    stream = await once(at(mock), Ask("ok", stream=True, include_usage=True))
    assert plain.status == stream.status == 200
    assert meaning(plain.body)[:2] == ("Hello from the", "stop")
    assert meaning(stream.body) == ("Hello from the", ["stop"], True)
    assert b"total_tokens" in stream.body
    assert 0 < stream.first_byte <= stream.seconds
    assert mock.hits[0].headers["authorization"] == "Bearer sk-test"


async def test_it_asks_something_new_each_time_unless_told_otherwise(mock: MockServer) -> None:
    fresh, same = Requests(at(mock), Ask("ok")), Requests(at(mock), Ask("ok", unique=False))
    assert len({fresh.take() for _ in range(5)}) == 5
    assert len({same.take() for _ in range(5)}) == 1
    assert len(fresh.take()) == len(same.take())


async def test_it_gives_the_bytes_of_a_broken_answer(mock: MockServer) -> None:
    caller = await Caller.connect(mock.port)
    with pytest.raises(Broken) as broken:
        await caller.ask(Requests(at(mock), Ask("cut-2", stream=True)).take())
    assert broken.value.body.count(b"data: ") == 2
    with pytest.raises(Broken):
        await caller.ask(b"")
    again = await caller.again()
    assert (await again.ask(Requests(at(mock), Ask("ok")).take())).status == 200
    again.close()


async def test_it_counts_answers_and_what_went_wrong(mock: MockServer) -> None:
    mock.script(
        "m",
        Answer(status=429, body=b"{}"),
        Answer(body=b"{}", headers={"content-length": "9"}, then="cut"),
        Answer(body=b'{"odd":1}'),
        Answer(body=b"{}"),
    )
    verdict = Verdict(b"{}")
    tally = await closed_loop(Requests(at(mock), Ask("m")), users=1, seconds=0.2, verdict=verdict)
    assert tally.errors == {"status 429": 1, "broken": 1, "wrong body": 1}
    assert tally.answers == verdict.counts["exact"] == len(mock.hits) - 3
    assert tally.elapsed >= 0.2 and max(tally.first_bytes) <= max(tally.seconds)


async def test_it_sends_each_pair_both_ways(mock: MockServer) -> None:
    async with MockServer() as other:
        ask = Ask("ok", stream=True)
        pairs = await paired(Requests(at(mock), ask), Requests(at(other), ask), users=2, seconds=0.05)
        assert len(mock.hits) == len(other.hits) == pairs.asked
    assert 0 < len(pairs.added) == len(pairs.added_first) <= pairs.asked
    assert pairs.added[0] == pairs.proxied[0] - pairs.direct[0]
    assert not pairs.errors


def test_it_takes_the_framing_off_only_when_all_is_there() -> None:
    whole = b"3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"
    assert unchunk(whole) == b"abc0123456789abcdef"
    assert unchunk(b"6\r\na\r\n0\r\n\r\n") is None
    assert unchunk(b"3\r\nabc\r\n") is None


STREAM = b'data: {"choices":[{"delta":{"content":"ab"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize(
    ("body", "judgement"),
    [
        (STREAM, "exact"),
        (STREAM.replace(b"data: [DONE]", b": x-request-cost=0.1\n\ndata: [DONE]"), "exact"),
        (b": ping\n\n" + STREAM, "exact"),
        (STREAM.replace(b'"choices"', b'"id":"other","choices"'), "altered"),
        (STREAM.replace(b"ab", b"a"), "wrong"),
        (STREAM.replace(b"data: [DONE]\n\n", b""), "wrong"),
        (b"<html>", "wrong"),
    ],
)
def test_it_judges_bodies_by_bytes_and_then_by_meaning(body: bytes, judgement: str) -> None:
    verdict = Verdict(STREAM)
    assert [verdict.judge(body), verdict.judge(body)] == [judgement, judgement]
    assert verdict.counts == {judgement: 2}


def test_it_takes_its_own_absence_off_a_silence() -> None:
    pulse = Pulse()
    for moment in (1.0, 1.001, 1.031, 1.032, 1.052):
        pulse.beat(moment)
    assert [round(stall, 3) for stall in pulse.stalls()] == [0.03, 0.02]
    pulse.absences = [Gap(1.002, 1.022), Gap(1.030, 1.060)]
    assert [round(stall, 3) for stall in pulse.stalls()] == [0.009]


async def test_it_notices_when_its_own_loop_did_not_run() -> None:
    pulse = Pulse()
    pulse.start()
    await asyncio.sleep(0)
    time.sleep(0.01)
    await asyncio.sleep(0.005)
    pulse.stop()
    assert pulse.absences


def test_a_translated_answer_is_judged_by_its_text_and_its_end() -> None:
    expected = b'{"choices": [{"message": {"content": "Hi all"}, "finish_reason": "stop"}]}'
    plain = b'{"content": [{"type": "text", "text": "Hi all"}], "stop_reason": "end_turn"}'
    events = [
        b'data: {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}}',
        b'data: {"type": "content_block_delta", "delta": {"type": "text_delta", "text": " all"}}',
        b'data: {"type": "message_stop"}',
    ]
    verdict = Verdict(expected, messages=True)
    bodies = (plain, b"\n\n".join(events), b"\n\n".join(events[:2]), plain.replace(b"all", b""), expected)
    assert [verdict.judge(body) for body in bodies] == ["altered", "altered", "wrong", "wrong", "wrong"]
