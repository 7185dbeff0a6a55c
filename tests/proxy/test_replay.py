"""What a stream amounts to, so that it can be given again from the cache: put together right, or not kept."""

from typing import Any

import orjson
import pytest

from accounts.prices import Usage
from proxy import replay

Json = dict[str, Any]


def told(*deltas: Json, finish: str | None = "stop") -> bytes:
    """The transcript of a stream with these pieces."""
    chunks: list[Json] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    chunks.append({"index": 0, "delta": {}, "finish_reason": finish})
    events = [b"data: " + orjson.dumps({"id": "c", "model": "m", "choices": [chunk]}) for chunk in chunks]
    return b"\n\n".join([*events, b"data: [DONE]", b""])


def message_of(transcript: bytes) -> Json:
    answer = orjson.loads(replay.answer_of(transcript, Usage()))
    message: Json = answer["choices"][0]["message"]
    return message


def call(id: str, name: str, arguments: str) -> Json:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_it_joins_the_pieces_of_a_custom_tools_input() -> None:
    first = {"index": 0, "id": "1", "type": "custom", "custom": {"name": "sql", "input": ""}}
    rest = [{"tool_calls": [{"index": 0, "custom": {"input": piece}}]} for piece in ("select ", "1")]
    message = message_of(told({"role": "assistant", "tool_calls": [first]}, *rest, finish="tool_calls"))
    assert message["tool_calls"] == [{"id": "1", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}]


def test_it_joins_the_pieces_of_an_old_function_call() -> None:
    pieces = [{"function_call": {"arguments": piece}} for piece in ('{"a":', "1}")]
    first = {"role": "assistant", "function_call": {"name": "f", "arguments": ""}}
    message = message_of(told(first, *pieces, finish="function_call"))
    assert message["function_call"] == {"name": "f", "arguments": '{"a":1}'}


def test_it_tells_tool_calls_without_an_index_apart() -> None:
    calls = [{"tool_calls": [call("1", "f", '{"a":')]}, {"tool_calls": [{"function": {"arguments": "1}"}}]}]
    message = message_of(told(*calls, {"tool_calls": [call("2", "g", "{}")]}, finish="tool_calls"))
    assert message["tool_calls"] == [call("1", "f", '{"a":1}'), call("2", "g", "{}")]


def test_it_keeps_every_piece_of_a_list() -> None:
    message = message_of(told({"reasoning_details": [{"text": "a"}]}, {"reasoning_details": [{"text": "b"}]}))
    assert message["reasoning_details"] == [{"text": "a"}, {"text": "b"}]


@pytest.mark.parametrize(
    "transcript",
    [
        told({"role": "assistant", "content": "half"}, finish=None),
        told({"role": "assistant", "refusal": "No."}),
        told({"role": "assistant", "audio": {"id": "a", "data": "AAAA"}}),
    ],
    ids=["no end", "a refusal", "sound"],
)
def test_what_is_not_to_be_given_again_amounts_to_nothing(transcript: bytes) -> None:
    assert replay.answer_of(transcript, Usage()) == replay.NOTHING
