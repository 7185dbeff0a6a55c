"""SIGTERM: what is under way ends as it should, nothing is lost, and the next start serves again."""

import re
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from loadtest.mockserver import Answer
from tests.gateway.conftest import Start
from tests.gateway.stand import COST, Stand
from tests.server.client import Client, until

STREAMS = 50
COST_COMMENT = re.compile(rb": x-request-cost=([0-9.]+)\n\ndata: \[DONE\]\n\n$")
WORD = b'data: {"id":"x","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'


def endless() -> Iterator[bytes | float]:
    while True:
        yield WORD
        yield 0.05


def begin(stand: Stand, asks: list[dict[str, Any]]) -> list[tuple[Client, str]]:
    """Streams whose first chunks have been read, and their ids."""
    clients = [stand.connect() for _ in asks]
    for client, ask in zip(clients, asks, strict=True):
        stand.send(client, body=ask | {"stream": True})
    begun = []
    for client in clients:
        status, headers = client.head()
        assert (status, bool(client.chunk())) == (200, True)
        begun.append((client, dict(headers)["x-qlite-id"]))
    return begun


def refuses_connections(stand: Stand) -> bool:
    try:
        stand.connect().socket.close()
    except ConnectionRefusedError:
        return True
    return False


def test_sigterm_lets_50_streams_and_the_calls_beside_them_finish(start: Start) -> None:
    stand = start()
    streams = begin(stand, [stand.ask("mock/paced-20x150ms", content=f"stream {n}") for n in range(STREAMS)])
    plain = [stand.connect() for _ in range(5)]
    for client in plain:
        stand.send(client, body=stand.ask("mock/paced-3x700ms"))
    idle = stand.connect()
    half = stand.connect()
    half.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\n{")
    until(lambda: len(stand.mock.hits), lambda hits: hits == STREAMS + 5)
    assert not [hit for hit in stand.mock.hits if hit.ended]
    stand.signal(signal.SIGTERM)
    until(lambda: refuses_connections(stand), bool)
    assert idle.closed()
    bodies = [client.answer_rest() for client, _ in streams]
    answers = [client.answer() for client in plain]
    refused = half.answer()
    assert stand.wait() == 0
    costs = [COST_COMMENT.search(body) for body in bodies]
    assert all(costs), [body[-200:] for body, cost in zip(bodies, costs, strict=True) if not cost]
    assert {cost[1] for cost in costs if cost} == {b"0.000052000"}
    assert [answer.status for answer in answers] == [200] * 5
    assert (refused.status, refused.code) == (503, "server_shutting_down")
    rows = {row["id"]: row for row in stand.rows()}
    told = [(id, 52_000) for _, id in streams] + [(answer.headers["x-qlite-id"], COST) for answer in answers]
    assert {(row["id"], row["cost_nano"]) for row in rows.values()} == set(told)
    assert {(row["status"], row["usage_source"], row["client_gone"]) for row in rows.values()} == {
        ("settled", "provider", 0)
    }
    assert not list((stand.home.folder / "journal").iterdir())
    assert "The ledger is sound" in stand.verify()
    for client in (idle, half, *plain, *(client for client, _ in streams)):
        client.socket.close()
    stand.start()
    assert stand.call(body=stand.ask()).status == 200
    assert stand.stop() == 0


def test_streams_without_end_are_told_when_the_time_to_drain_is_over(start: Start) -> None:
    stand = start(QLITE_DRAIN_TIMEOUT="1")
    stand.mock.script("endless", lambda hit: Answer(chunks=endless()))
    stand.mock.script("mute", Answer(chunks=[b""], then="hang"))
    streams = begin(stand, [stand.ask("mock/endless")] * 10)
    mute, plain = stand.connect(), stand.connect()
    stand.send(mute, body=stand.ask("mock/mute", stream=True))
    stand.send(plain, body=stand.ask("mock/silent"))
    until(lambda: len(stand.mock.hits), lambda hits: hits == 12)
    stand.signal(signal.SIGTERM)
    bodies = [client.answer_rest() for client, _ in streams]
    answers = [client.answer() for client in (mute, plain)]
    assert stand.wait() == 0
    for body in bodies:
        assert b"[DONE]" not in body
        assert body.endswith(b'"code":"server_shutting_down"}}\n\n')
        assert body.count(b'"error"') == 1
    assert [(answer.status, answer.code) for answer in answers] == [(503, "server_shutting_down")] * 2
    assert [answer.headers["retry-after"] for answer in answers] == ["1", "1"]
    until(lambda: [hit for hit in stand.mock.hits if not hit.ended], lambda running: not running)
    rows = stand.rows()
    assert len(rows) == 12
    for row in rows:
        assert (row["status"], row["usage_source"]) == ("interrupted", "estimated")
        assert (row["error"], row["client_gone"]) == ("server_shutting_down", 0)
        assert row["cost_nano"] > 0
    assert {row["output"] > 3 for row in rows if row["id"] in {id for _, id in streams}} == {True}
    assert "The ledger is sound" in stand.verify()
    stand.start()
    assert stand.call(body=stand.ask()).status == 200
    assert stand.stop() == 0
    for client in (mute, plain, *(client for client, _ in streams)):
        client.socket.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_does_not_wait(start: Start, number: signal.Signals) -> None:
    stand = start()
    stand.mock.script("endless", lambda hit: Answer(chunks=endless()))
    [(client, id)] = begin(stand, [stand.ask("mock/endless")])
    stand.signal(number)
    until(lambda: refuses_connections(stand), bool)
    stand.signal(number)
    assert client.answer_rest().endswith(b'"code":"server_shutting_down"}}\n\n')
    assert stand.wait(5) == 0
    assert [(row["id"], row["status"]) for row in stand.rows()] == [(id, "interrupted")]
    client.socket.close()


def test_a_caller_who_reads_nothing_is_not_waited_for_longer_than_the_drain(start: Start) -> None:
    stand = start(QLITE_DRAIN_TIMEOUT="1")
    big = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * 60_000 + b'"}}]}\n\n'
    stand.mock.script("big", Answer(chunks=[big] * 100, then="hang"))
    client = Client(stand.port, receive_buffer=4096)
    stand.send(client, body=stand.ask("mock/big", stream=True))
    stand.hit(lambda hit: hit.model == "big" and hit.chunks > 0)
    time.sleep(0.2)
    stand.signal(signal.SIGTERM)
    assert stand.wait() == 0
    [row] = stand.rows()
    assert (row["status"], row["usage_source"]) == ("interrupted", "estimated")
    client.socket.close()
