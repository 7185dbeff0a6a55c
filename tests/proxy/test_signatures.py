"""Signatures remembered for clients that lose them: by team and call, for a while, within bounds."""

from typing import Any

import pytest

from proxy.chat import Chat
from proxy.signatures import BLOCKS, ENTRY_OVERHEAD, EXTRA, SECONDS, Noter, Signatures

GOOGLES = {"google": {"thought_signature": "c2ln"}}
CALL: dict[str, Any] = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def chat(*messages: Any) -> Chat:
    return Chat(b"", {"messages": list(messages)}, "m", stream=False, wants_usage=False)


def said(*calls: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)} | more


def remembering(message: Any, team: str = "red", **fields: Any) -> Signatures:
    signatures = Signatures(fields.pop("clock", Clock()), **fields)
    Noter(signatures, team).take(message)
    return signatures


def test_it_puts_back_what_is_lost() -> None:
    signatures = remembering(said(CALL | {EXTRA: GOOGLES}, CALL | {"id": "call_2"}))
    (told,) = signatures.restored("red", chat(said(CALL, CALL | {"id": "call_2"})), EXTRA).body["messages"]
    assert told["tool_calls"] == [CALL | {EXTRA: GOOGLES}, CALL | {"id": "call_2"}]


def test_what_the_caller_brings_back_wins() -> None:
    signatures = remembering(said(CALL | {EXTRA: GOOGLES}))
    given = chat(said(CALL | {EXTRA: {"google": {"thought_signature": "own"}}}))
    assert signatures.restored("red", given, EXTRA) is given


def test_it_tells_no_other_team() -> None:
    given = chat(said(CALL))
    assert remembering(said(CALL | {EXTRA: GOOGLES})).restored("blue", given, EXTRA) is given


def test_thoughts_stand_on_the_message_of_their_first_call() -> None:
    thoughts = [{"type": "redacted_thinking", "data": "cmVk"}]
    signatures = Signatures(Clock())
    noter = Noter(signatures, "red")
    for delta in ({"tool_calls": [CALL]}, {"tool_calls": [CALL | {"id": "call_2"}]}, {BLOCKS: thoughts}):
        noter.take_first({"choices": [{"delta": delta}]})
    given = said(CALL, CALL | {"id": "call_2"})
    assert signatures.restored("red", chat(given), BLOCKS).body["messages"] == [given | {BLOCKS: thoughts}]


def test_it_forgets_after_a_while() -> None:
    clock = Clock()
    signatures = remembering(said(CALL | {EXTRA: GOOGLES}), clock=clock)
    clock.now += SECONDS
    given = chat(said(CALL))
    assert signatures.restored("red", given, EXTRA) is given
    signatures.keep(("red", "call_2", EXTRA), GOOGLES)
    assert signatures.find(("red", "call_1", EXTRA)) is None
    assert len(signatures._kept) == 1


def test_it_keeps_no_more_than_it_may() -> None:
    signatures = Signatures(Clock(), most_bytes=3 * (ENTRY_OVERHEAD + 22))
    for number in range(20):
        signatures.keep(("red", f"call_{number}", EXTRA), "x" * 20)
    assert signatures.find(("red", "call_19", EXTRA)) == "x" * 20
    assert len(signatures._kept) == 3
    signatures.keep(("red", "call_20", EXTRA), "x" * 2000)
    assert not signatures._kept and signatures._bytes == 0


@pytest.mark.parametrize("calls", [3, "x", [3], [None], [{"id": 3}], [{}]])
def test_odd_calls_are_left_to_whoever_judges_them(calls: Any) -> None:
    signatures = remembering(said(CALL | {EXTRA: GOOGLES}, **{BLOCKS: [{}]}))
    for name in (EXTRA, BLOCKS):
        given = chat({"role": "assistant", "tool_calls": calls})
        assert signatures.restored("red", given, name) is given
    Noter(signatures, "red").take({"tool_calls": calls})
