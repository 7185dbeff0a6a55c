"""Streams of Responses events that pass: usage, ends and errors are seen, wherever the bytes are cut."""

from pathlib import Path
from typing import Any

import pytest

from accounts.prices import Usage
from proxy import sse
from proxy.dialects.responses import Responses
from tests.proxy.dialects.golden import cases, expected, named
from tests.proxy.dialects.streaming import watched


@pytest.mark.parametrize("path", cases("responses", "native", suffix=".sse"), ids=named)
def test_it_sees_how_a_stream_ends(path: Path) -> None:
    raw = path.read_bytes()
    told = expected(path)
    if told["error"] and told["error"]["code"] is None:
        told["error"]["code"] = "stream_interrupted"
    for cut in range(len(raw) + 1):
        assert watched(Responses(), raw[:cut], raw[cut:]) == told, cut
    assert watched(Responses(), *(raw[place : place + 1] for place in range(len(raw)))) == told


@pytest.mark.parametrize("path", cases("responses", "native", suffix=".sse"), ids=named)
def test_it_reads_next_to_nothing_of_a_long_answer(path: Path) -> None:
    watcher = Responses().watcher()
    delta = [
        event for event in sse.events(path.read_bytes()) if b"output_text.delta" in event and b"quoted" not in event
    ]
    assert not any(watcher.interesting(event) for event in delta if b"response.completed" not in event)


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        ({"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}, Usage(input=10, output=5)),
        (
            {
                "input_tokens": 100,
                "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
                "output_tokens": 50,
                "output_tokens_details": {"reasoning_tokens": 30},
            },
            Usage(input=30, cached_input=60, cache_write=10, output=20, reasoning=30),
        ),
        ({"input_tokens": 10, "input_tokens_details": None, "output_tokens": 1}, Usage(10, output=1)),
        ({"output_tokens": 1}, None),
        ({"input_tokens": -1, "output_tokens": 1}, None),
        ({"input_tokens": 5, "input_tokens_details": {"cached_tokens": 9}, "output_tokens": 1}, None),
        ({"input_tokens": "5"}, None),
        (None, None),
        ([], None),
    ],
)
def test_it_reads_usage_as_disjoint_classes(reported: Any, usage: Usage | None) -> None:
    assert Responses().usage({"usage": reported}) == usage
