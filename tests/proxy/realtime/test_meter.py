"""What a session has used, read from its events."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.prices import Usage
from proxy.realtime.meter import TRANSCRIBED, Meter, usage_of

COUNT = st.integers(0, 10_000)


def done(id: str = "r", usage: Any = None, **fields: Any) -> str:
    return orjson.dumps({"type": "response.done", "response": {"id": id, "usage": usage, **fields}}).decode()


def created(id: str = "r") -> str:
    return orjson.dumps({"type": "response.created", "response": {"id": id}}).decode()


@given(*[COUNT] * 9)
def test_classes_are_disjoint_and_together_what_was_reported(
    text: int, cached: int, audio: int, cached_audio: int, image: int, seen: int, said: int, spoken: int, thought: int
) -> None:
    reported = {
        "input_tokens": text + cached + audio + cached_audio + image + seen,
        "output_tokens": said + spoken + thought,
        "input_token_details": {
            "text_tokens": text + cached,
            "audio_tokens": audio + cached_audio,
            "image_tokens": image + seen,
            "cached_tokens": cached + cached_audio + seen,
            "cached_tokens_details": {"text_tokens": cached, "audio_tokens": cached_audio, "image_tokens": seen},
        },
        "output_token_details": {"text_tokens": said, "audio_tokens": spoken, "reasoning_tokens": thought},
    }
    assert usage_of(reported) == Usage(
        input=text,
        cached_input=cached,
        audio_input=audio,
        cached_audio=cached_audio,
        image_input=image,
        cached_image=seen,
        output=said,
        audio_output=spoken,
        reasoning=thought,
    )


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        ({"input_tokens": 5, "output_tokens": 6}, Usage(input=5, output=6)),
        ({"input_tokens": 5}, Usage(input=5)),
        # Who does not say of which kind the cached ones are means text first.
        (
            {"input_tokens": 10, "input_token_details": {"text_tokens": 4, "audio_tokens": 6, "cached_tokens": 5}},
            Usage(cached_input=4, cached_audio=1, audio_input=5),
        ),
        (
            {"input_tokens": 10, "input_token_details": {"image_tokens": 4, "audio_tokens": 6, "cached_tokens": 9}},
            Usage(cached_audio=6, cached_image=3, image_input=1),
        ),
        (
            {
                "input_tokens": 10,
                "input_token_details": {
                    "audio_tokens": 6,
                    "cached_tokens": 3,
                    "cached_tokens_details": {"audio_tokens": 4},
                },
            },
            None,
        ),
        ({"type": "duration", "seconds": 12.2}, Usage(seconds=13)),
        ({"type": "duration"}, None),
        ({}, None),
        ({"input_tokens": -1}, None),
        ({"input_tokens": True}, None),
        ({"input_tokens": 5, "input_token_details": {"cached_tokens": 6}}, None),
        ({"input_tokens": 5, "input_token_details": {"audio_tokens": "6"}}, None),
        ({"input_tokens": 5, "output_tokens": 1, "output_token_details": {"audio_tokens": 2}}, None),
        ({"input_tokens": 5, "input_token_details": [], "output_token_details": None}, Usage(input=5)),
    ],
)
def test_usage_is_read_or_not_believed(reported: Any, usage: Usage | None) -> None:
    assert usage_of(reported) == usage


def test_responses_add_up_and_count_once() -> None:
    meter = Meter()
    assert meter.received(done("a", {"input_tokens": 1, "output_tokens": 2}))
    assert meter.received(done("b", {"input_tokens": 3, "output_tokens": 4}))
    assert not meter.received(done("b", {"input_tokens": 3, "output_tokens": 4}))
    assert meter.usage == Usage(input=4, output=6)
    assert meter.guess() is None


def test_words_about_an_event_are_no_event() -> None:
    meter = Meter()
    quoted = {"type": "conversation.item.added", "item": {"text": '"response.done"', "usage": {"input_tokens": 9}}}
    assert not meter.received(orjson.dumps(quoted).decode())
    assert not meter.received('"response.done" and then something that is not JSON \ud800')
    assert meter.usage is None


def test_a_response_under_way_is_guessed_at() -> None:
    meter = Meter()
    meter.received(done("a", {"input_tokens": 100, "output_tokens": 2}))
    meter.sent('{"type":"conversation.item.create","text":"' + "x" * 400 + '"}')
    meter.sent('{"type":"input_audio_buffer.append","audio":"' + "A" * 64_000 + '"}')
    meter.received(created("b"))
    for _ in range(5):
        meter.received('{"type":"response.output_audio_transcript.delta","delta":"Hi"}')
    meter.received('{"type":"response.output_audio.delta","delta":"' + "A" * 32_000 + '"}')
    guess = meter.guess()
    assert guess is not None
    assert 200 <= guess.input <= 220
    assert (guess.output, guess.audio_input, guess.audio_output) == (5, 10, 10)
    meter.received(done("b", {"input_tokens": 7, "output_tokens": 8}))
    assert meter.guess() is None


def test_a_response_that_does_not_say_what_it_used_is_guessed_at_for_ever() -> None:
    meter = Meter()
    meter.received(created("a"))
    meter.received('{"type":"response.output_text.delta","delta":"Hi"}')
    assert not meter.received(done("a", {"input_tokens": "many"}, status="completed"))
    meter.received(done("b", {"input_tokens": 7, "output_tokens": 8}))
    guess = meter.guess()
    assert guess is not None and guess.output == 1


def test_a_failed_response_without_usage_used_nothing() -> None:
    meter = Meter()
    meter.received(created("a"))
    meter.received(done("a", None, status="failed"))
    assert meter.guess() is None and meter.usage is None


def test_a_status_that_is_none_of_the_known_ones_may_be_anything() -> None:
    meter = Meter()
    meter.received(created("a"))
    meter.received(orjson.dumps({"type": "response.done", "response": {"id": "a", "status": [[]]}}).decode())
    assert meter.guess() is not None


@pytest.mark.parametrize(
    "session",
    [
        {"audio": {"input": {"transcription": {"model": "whisper-1"}}}},
        {"input_audio_transcription": {"model": "whisper-1"}},
    ],
)
def test_transcribing_counts_for_the_model_that_does_it(session: Any) -> None:
    meter = Meter()
    told = {"type": TRANSCRIBED, "usage": {"type": "duration", "seconds": 3}}
    assert meter.received(orjson.dumps(told).decode())
    meter.received(orjson.dumps({"type": "session.updated", "session": session}).decode())
    assert meter.received(orjson.dumps(told).decode())
    assert meter.heard == {"": Usage(seconds=3), "whisper-1": Usage(seconds=3)}
    assert meter.usage is None


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_no_event_breaks_it(anything: Any) -> None:
    meter = Meter()
    for kind in ("response.done", "response.created", TRANSCRIBED, "session.updated"):
        for name in ("response", "usage", "session"):
            event = {"type": kind, name: anything}
            try:
                meter.received(orjson.dumps(event).decode())
            except orjson.JSONEncodeError:
                continue
