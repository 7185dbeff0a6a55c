"""Google's Interactions API behind our keys: what it used is read by its own words, plain and streamed."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.native.usage import reported
from tests.proxy.native.harness import passing

USAGE = {
    "total_input_tokens": 100,
    "total_cached_tokens": 40,
    "total_output_tokens": 20,
    "total_thought_tokens": 30,
    "total_tool_use_tokens": 5,
    "total_tokens": 155,
    "input_tokens_by_modality": [{"modality": "text", "tokens": 70}, {"modality": "audio", "tokens": 30}],
    "cached_tokens_by_modality": [{"modality": "audio", "tokens": 10}, {"modality": "text", "tokens": 30}],
    "grounding_tool_count": [{"type": "google_search", "count": 2}, {"type": "retrieval", "count": 1}],
}
USED = {
    "input": 45,
    "cached_input": 30,
    "audio_input": 20,
    "cached_audio": 10,
    "output": 20,
    "reasoning": 30,
    "searches": 2,
}
DONE = {"id": "int_1", "model": "gemini-3-pro", "status": "completed", "service_tier": "flex", "usage": USAGE}


async def test_what_an_interaction_used_is_billed(tmp_path: Path) -> None:
    async with passing(tmp_path, "gemini") as call:
        call.say(DONE)
        client = await call("/gemini/v1beta/interactions", {"model": "gemini-3-pro", "input": "Hello"})
        assert client.body == orjson.dumps(DONE)
        row = await call.bench.row()
        assert (row.usage, row.usage_source, row.attempts[0].service_tier) == (USED, "provider", "flex")


async def test_so_is_what_a_streamed_one_used(tmp_path: Path) -> None:
    events = [
        {"event_type": "interaction.created", "interaction": {"id": "int_1", "status": "in_progress"}},
        {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "Hi"}},
        {"event_type": "interaction.completed", "interaction": DONE},
    ]
    async with passing(tmp_path, "gemini") as call:
        call.stream(*(b"data: %b\n\n" % orjson.dumps(event) for event in events), b"data: [DONE]\n\n")
        asked = {"model": "gemini-3-pro", "input": "Hello", "stream": True}
        assert (await call("/gemini/v1beta/interactions", asked)).status == 200
        row = await call.bench.row()
        assert (row.status, row.usage, row.usage_source) == ("settled", USED, "provider")


def test_before_the_third_generation_a_grounded_prompt_is_one_search() -> None:
    usage = reported(DONE | {"model": "gemini-2.5-flash"})
    assert usage is not None and usage.searches == 1


@pytest.mark.parametrize(
    "change",
    [
        {"total_input_tokens": None},
        {"total_input_tokens": -1},
        {"total_output_tokens": "20"},
        {"total_cached_tokens": 101},
        {"input_tokens_by_modality": [{"modality": "audio", "tokens": True}]},
    ],
)
def test_nonsense_is_no_usage(change: dict[str, Any]) -> None:
    assert reported(DONE | {"usage": USAGE | change}) is None


@pytest.mark.parametrize("odd", [None, 7, [None, 7], [{}], [{"type": "google_search", "count": "2"}]])
def test_odd_details_are_passed_over(odd: Any) -> None:
    usage = reported(DONE | {"usage": USAGE | dict.fromkeys(("input_tokens_by_modality", "grounding_tool_count"), odd)})
    assert usage is not None and (usage.tokens_in, usage.searches) == (105, 0)
