"""Callers who leave: what was used is recorded once, the provider is let go, and nobody else notices."""

import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest

from loadtest.mockserver import Answer
from tests.gateway.stand import COST, INPUT_NANO, OUTPUT_NANO, Stand
from tests.server.client import Client, until

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close at once, by RST
WORD = b'data: {"id":"x","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'
FINISH = b'data: {"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"id":"x","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3}}\n\n'


def leave(client: Client, how: str) -> None:
    if how == "RST":
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.socket.close()


def words() -> Iterator[bytes | float]:
    """A stream that never ends."""
    while True:
        yield WORD
        yield 0.02


def reading(stand: Stand, ask: dict[str, Any], chunks: int) -> tuple[Client, str]:
    """A caller who has read that many chunks of a stream, and the id of the request."""
    client = stand.connect()
    stand.send(client, body=ask | {"stream": True})
    status, headers = client.head()
    assert status == 200
    for _ in range(chunks):
        client.chunk()
    return client, dict(headers)["x-qlite-id"]


@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_a_plain_call_is_paid_for_and_so_runs_to_its_end(stand: Stand, how: str) -> None:
    stand.mock.script(
        "late", Answer(body=b'{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3}}', delay=0.5)
    )
    client = stand.connect()
    stand.send(client, body=stand.ask("mock/late"), x_request_id=f"plain {how}")
    stand.hit(lambda hit: hit.model == "late")
    time.sleep(0.1)  # the server takes an end right behind the request for a half-close, which is no leaving
    leave(client, how)
    row = until(lambda: stand.rows("client_request_id = ?", f"plain {how}"), bool)[0]
    assert (row["status"], row["usage_source"], row["cost_nano"]) == ("settled", "provider", COST)
    assert row["client_gone"] == 1
    assert (stand.mock.hits[0].ended, stand.mock.hits[0].peer_closed) == (True, False)


def test_a_caller_who_only_ended_his_side_still_gets_the_answer(stand: Stand) -> None:
    """As `nc -N` does."""
    stand.mock.script("late", Answer(body=b'{"choices":[]}', delay=0.3))
    with stand.connect() as client:
        stand.send(client, body=stand.ask("mock/late"))
        client.socket.shutdown(socket.SHUT_WR)
        status, headers = client.head()
        while status == 100:  # the server may ask in this way whether anybody is still there
            status, headers = client.head()
        body = client.rest()
    assert (status, body) == (200, b'{"choices":[]}')
    assert stand.row(dict(headers)["x-qlite-id"])["client_gone"] == 0


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("read", [0, 1, 10])
def test_a_stream_is_stopped_and_billed_for_what_was_sent(stand: Stand, how: str, read: int) -> None:
    stand.mock.script("endless", lambda hit: Answer(chunks=words()))
    client, id = reading(stand, stand.ask("mock/endless"), read)
    before = time.monotonic()
    leave(client, how)
    hit = stand.hit(lambda hit: hit.model == "endless" and hit.ended)
    assert time.monotonic() - before < 1
    assert hit.peer_closed
    row = stand.row(id)
    assert (row["status"], row["usage_source"], row["error"]) == ("interrupted", "estimated", "client_disconnected")
    assert row["client_gone"] == 1
    # One token a word: at least what the caller has read, at most what the provider has sent.
    assert max(read - 1, 0) <= row["output"] <= hit.chunks
    assert row["cost_nano"] == row["input"] * INPUT_NANO + row["output"] * OUTPUT_NANO
    assert [attempt["status"] for attempt in row["attempts"]] == ["interrupted"]


@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_a_stream_that_has_not_begun_is_stopped_too(stand: Stand, how: str) -> None:
    stand.mock.script("mute", Answer(chunks=[b""], then="hang"))
    client = stand.connect()
    stand.send(client, body=stand.ask("mock/mute", stream=True), x_request_id=f"mute {how}")
    stand.hit(lambda hit: hit.model == "mute")
    time.sleep(0.1)
    leave(client, how)
    assert stand.hit(lambda hit: hit.ended).peer_closed
    row = until(lambda: stand.rows("client_request_id = ?", f"mute {how}"), bool)[0]
    assert (row["status"], row["usage_source"], row["client_gone"]) == ("interrupted", "estimated", 1)
    assert (row["input"] > 0, row["output"]) == (True, 0)


@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_leaving_between_the_last_word_and_the_end_costs_what_the_provider_says(stand: Stand, how: str) -> None:
    stand.mock.script("slow-end", Answer(chunks=[WORD, FINISH, USAGE, 0.5, b"data: [DONE]\n\n"]))
    client, id = reading(stand, stand.ask("mock/slow-end"), 0)
    while b'"stop"' not in client.chunk():
        pass
    time.sleep(0.1)  # the usage comes right behind, and is kept back until the end
    leave(client, how)
    row = stand.row(id)
    assert (row["usage_source"], row["cost_nano"], row["client_gone"]) == ("provider", COST, 1)
    assert row["status"] == "settled"
    assert len(row["attempts"]) == 1


def test_leaving_after_the_end_is_not_leaving(stand: Stand) -> None:
    client, id = reading(stand, stand.ask("mock/ok"), 0)
    assert client.answer_rest().endswith(b"data: [DONE]\n\n")
    leave(client, "RST")
    row = stand.row(id)
    assert (row["status"], row["client_gone"], row["cost_nano"]) == ("settled", 0, COST)


def test_a_crowd_that_leaves_keeps_no_connection_open(stand: Stand) -> None:
    stand.mock.script("endless", lambda hit: Answer(chunks=words()))
    crowd = [reading(stand, stand.ask("mock/endless"), 1) for _ in range(30)]
    for number, (client, _) in enumerate(crowd):
        leave(client, "RST" if number % 2 else "FIN")
    until(lambda: [hit for hit in stand.mock.hits if not hit.ended], lambda running: not running)
    rows = [stand.row(id) for _, id in crowd]
    assert {(row["status"], row["client_gone"]) for row in rows} == {("interrupted", 1)}
    health = until(lambda: stand.call("GET", "/health", key=None).json, lambda told: told["journal"]["waiting"] == 0)
    assert health["journal"]["full"] is False
    metrics = until(
        lambda: stand.call("GET", "/metrics", key=None).body, lambda text: b"qlite_requests_in_flight 0.0" in text
    )
    assert b'status="interrupted"' in metrics


def test_nobody_waits_for_a_leader_who_left(stand: Stand) -> None:
    """Equal calls wait for one that is under way: when its caller leaves, the next one goes."""
    stand.mock.script(
        "ok", Answer(chunks=[WORD], then="hang"), Answer(chunks=[WORD, FINISH, USAGE, b"data: [DONE]\n\n"])
    )
    ask = stand.ask("kept", content="led")
    leader, led = reading(stand, ask, 1)
    with stand.connect() as follower:
        stand.send(follower, body=ask | {"stream": True})
        time.sleep(0.1)
        assert len(stand.mock.hits) == 1
        leave(leader, "FIN")
        answer = follower.answer()
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert answer.headers["x-cache"] == "MISS"
    assert stand.row(led)["client_gone"] == 1
    assert stand.row(answer.headers["x-qlite-id"])["cost_nano"] == COST
