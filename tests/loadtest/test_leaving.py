"""The judge of those who leave finds what is lost, billed too high or too low, and providers that talk to nobody."""

from typing import Any

import pytest

from loadtest.torture.leavers import ENDLESS, PLAIN, SHORT, Left
from loadtest.torture.leaving import Sent, judge_leaving


def row(nonce: str = "nonce-1", input: int = 9, output: int = 5, **fields: Any) -> dict[str, Any]:
    cost = input * 150 + output * 600
    known = {"client_request_id": nonce, "status": "interrupted", "attempts": [{}], "cost_nano": cost}
    return known | {"tokens": {"input": input, "output": output}} | fields


def left(nonce: str = "nonce-1", words: int = 4, model: str = ENDLESS, **fields: Any) -> Left:
    return Left(nonce, model, fields.get("stream", True), 100.0, words, fields.get("whole", False))


SENT = [Sent(6, True, 100.5)]


def test_it_finds_nothing_where_the_bill_lies_between_what_was_read_and_what_was_sent() -> None:
    found = judge_leaving([left(), left("nonce-2")], {"nonce-1": SENT}, [row()])
    assert found.violations == []
    assert (found.recorded, found.reached, found.closed, found.slowest) == (1, 1, 1, 0.5)
    whole = row(input=12, output=8, status="settled")
    assert judge_leaving([left(model=SHORT, words=8)], {"nonce-1": [Sent(8, False, 99.0)]}, [whole]).violations == []


@pytest.mark.parametrize(
    ("rows", "sent", "fault"),
    [
        ([], SENT, "1 hits, 0 records"),
        ([row(), row()], SENT, "1 hits, 2 records"),
        ([row(output=3)], SENT, "read 4 words, billed 3"),
        ([row(output=7)], SENT, "billed 7 of them, the provider sent 6"),
        ([row(input=0)], SENT, "read 4 words"),
        ([row(cost_nano=1)], SENT, "at 1 nano-dollars"),
        ([row(attempts=[])], SENT, "0 attempts"),
        ([row(status="open")], SENT, "open"),
        ([row(status="settled")], SENT, "a whole answer of paced-endless"),
        ([row()], [Sent(6, True, 101.1)], "went on for 1.10 s"),
        ([row(), row("nonce-9")], SENT, "nobody asked"),
    ],
)
def test_it_finds_what_is_wrong(rows: list[Any], sent: list[Sent], fault: str) -> None:
    [violation] = judge_leaving([left()], {"nonce-1": sent}, rows).violations
    assert fault in violation


def test_a_plain_answer_goes_on_without_its_caller() -> None:
    paid = row(input=12, output=3, status="settled")
    sent = {"nonce-1": [Sent(3, False, 102.0)]}
    assert judge_leaving([left(words=0, model=PLAIN, stream=False)], sent, [paid]).violations == []
    assert judge_leaving([left(words=0, model=PLAIN, stream=False, whole=True)], {}, []).violations != []
