"""The judge of the torture test finds money that is lost, doubled or wrong; if it did not, no run would mean much."""

from typing import Any

import pytest

from loadtest.client.caller import Answered
from loadtest.torture.crowd import Told, told
from loadtest.torture.judge import judge

SETTLED: dict[str, Any] = {"status": "settled", "usage_source": "provider", "cost_nano": 18_000, "error": ""}


def row(id: str = "r1", nonce: str = "nonce-1", status: str = "settled", attempts: Any = None, **fields: Any) -> Any:
    made = [SETTLED | {"status": status}] if attempts is None else attempts
    cost = sum(attempt["cost_nano"] for attempt in made)
    record = {"id": id, "client_request_id": nonce, "status": status, "cost_status": "priced", "cost_nano": cost}
    return record | {"attempts": made} | fields


def answer(nonce: str = "nonce-1", id: str = "r1", status: int = 200, **fields: Any) -> Told:
    return Told(nonce, id, status, fields.get("complete", True), fields.get("cost", "0.000018000"))


def test_it_finds_nothing_where_all_agree() -> None:
    failed = SETTLED | {"status": "failed", "usage_source": "none", "cost_nano": 0, "error": "upstream_error"}
    answers = [answer(), answer("nonce-2", "", cost="0.000018000"), answer("nonce-3", "r3", 502, cost="0.000000000")]
    rows = [row(), row("r2", "nonce-2", attempts=[failed, SETTLED]), row("r3", "nonce-3", "failed", [failed])]
    found = judge(answers, ["nonce-1", "nonce-2", "nonce-2", "nonce-3"], rows)
    assert found.violations == []
    assert (found.rows, found.attempts, found.hits, found.unheard) == (3, 4, 4, 0)
    assert (found.told_nano, found.recorded_nano) == (36_000, 36_000)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "0 records of it"),
        ([row(), row("r2")], "one question, 2 records"),
        ([row(), row()], "there twice"),
        ([row(attempts=[SETTLED | {"cost_nano": 17_999}])], "told 0.000018000, recorded 17999"),
        ([row(cost_nano=18_001)], "does not cost what its attempts cost"),
        ([row(status="open")], "still open"),
        ([row(status="interrupted")], "answered with 200, but the record is interrupted"),
        ([row(attempts=[SETTLED | {"status": "open"}])], "still open"),
        ([row(attempts=[SETTLED | {"usage_source": "none"}])], "has no usage"),
        ([row(nonce="nonce-2")], "is of nonce-2"),
        ([row(attempts=[], cost_nano=0, status="settled")], "1 hits, but 0 attempts"),
    ],
)
def test_it_finds_what_is_lost_doubled_or_wrong(rows: list[Any], sentence: str) -> None:
    assert any(sentence in violation for violation in judge([answer()], ["nonce-1"], rows).violations)


def test_it_finds_a_hit_that_nobody_wrote_down() -> None:
    assert judge([], ["nonce-9"], [row()]).violations == ["nonce-9: 1 hits, but 0 attempts in the ledger"]


def test_it_counts_attempts_that_the_provider_never_heard_of() -> None:
    unsent = SETTLED | {"status": "failed", "cost_nano": 0, "error": "upstream_connection_error"}
    assert judge([], [], [row(), row("r2", "nonce-2", attempts=[unsent])]).unheard == 1


@pytest.mark.parametrize(
    ("cost", "row_of", "sentence"),
    [
        ("unpriced", row(), "told 'unpriced', but the record is priced"),
        ("", row(), "does not say what it cost"),
    ],
)
def test_it_finds_a_cost_that_was_not_told(cost: str, row_of: Any, sentence: str) -> None:
    [violation] = judge([answer(cost=cost)], ["nonce-1"], [row_of]).violations
    assert sentence in violation


def test_a_stream_that_ended_in_an_error_must_be_interrupted() -> None:
    cut = answer(complete=False, cost="")
    assert judge([cut], ["nonce-1"], [row(status="interrupted")]).violations == []
    assert judge([cut], ["nonce-1"], [row()]).violations != []


def test_it_reads_the_cost_from_a_header_or_from_a_streams_end() -> None:
    plain = b"HTTP/1.1 200 OK\r\nx-qlite-id: r1\r\nx-request-cost: 0.000018000\r\ncontent-length: 2"
    assert told("n", Answered(200, 0.1, 0.1, plain, b"{}")) == Told("n", "r1", 200, True, "0.000018000")
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-qlite-id: r1"
    end = b"data: {}\n\n: x-request-cost=0.000018000\n\ndata: [DONE]\n\n"
    assert told("n", Answered(200, 0.1, 0.1, head, end)) == Told("n", "r1", 200, True, "0.000018000")
    assert told("n", Answered(200, 0.1, 0.1, head, b'data: {"error":{}}\n\n')) == Told("n", "r1", 200, False, "")
