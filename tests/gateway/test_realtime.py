"""Realtime through a running gateway: the real `openai` client, and what is left after a kill and a SIGTERM."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.gateway.conftest import Furnished, Start
from tests.gateway.stand import INPUT_NANO, OUTPUT_NANO, Stand
from tests.server.client import until

COST = 132 * INPUT_NANO + 121 * OUTPUT_NANO
MODEL = "mock/gpt-realtime"


@pytest.fixture(autouse=True)
def fresh(furnished: Furnished) -> Iterator[None]:
    yield
    furnished[2].sockets.clear()


def client_of(stand: Stand, key: str = "") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=stand.base_url, api_key=key or stand.key, max_retries=0, timeout=20)


async def respond(connection: Any) -> Any:
    """Ask for a response; its text, and its last event."""
    await connection.response.create()
    words = ""
    async for event in connection:
        if event.type == "response.output_text.delta":
            words += event.delta
        if event.type == "response.done":
            return words, event
    raise AssertionError("the session ended before the response")


def row_of(stand: Stand, connection: Any) -> dict[str, Any]:
    return stand.row(connection._connection.response.headers["x-qlite-id"])


async def test_the_openai_client_talks(stand: Stand) -> None:
    async with client_of(stand) as client, client.realtime.connect(model=MODEL) as connection:
        created = await connection.recv()
        assert created.type == "session.created"
        await connection.session.update(session={"type": "realtime", "instructions": "Be brief"})
        assert (await connection.recv()).type == "session.updated"
        for _ in range(2):
            words, done = await respond(connection)
            assert words == "Well, hello there"
            assert done.response.usage.input_token_details.audio_tokens == 13
    row = row_of(stand, connection)
    assert (row["status"], row["usage_source"], row["cost_nano"]) == ("settled", "provider", 2 * COST)
    assert (row["route"], row["model_asked"], row["stream"]) == ("mock/*", MODEL, 1)
    assert (row["audio_input"], row["audio_output"]) == (26, 182)
    assert [attempt["status"] for attempt in row["attempts"]] == ["settled"]


async def test_the_openai_client_is_told_what_is_wrong(stand: Stand) -> None:
    for key, model, status in (("sk-ql_wrong", MODEL, 401), ("", "unknown", 404), ("", "stub", 400)):
        async with client_of(stand, key) as client:
            with pytest.raises(InvalidStatus) as caught:
                async with client.realtime.connect(model=model):
                    pass
            assert caught.value.response.status_code == status
            assert b'"error"' in (caught.value.response.body or b"")


async def test_a_revoked_key_ends_the_session(stand: Stand) -> None:
    name = stand.home.run("createkey", "--team", "blue", "--name", "for-a-while", "--quiet").strip()
    async with client_of(stand, name) as client:
        connection = await until_connected(lambda: client.realtime.connect(model=MODEL).enter())
        await respond(connection)
        stand.home.run("shell", "-v", "0", "-c", REVOKE)
        with pytest.raises(ConnectionClosed) as caught:
            async with asyncio.timeout(4):
                while True:
                    await connection.recv()
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1008


REVOKE = """
from accounts.models import ApiKey
row = ApiKey.objects.get(label="for-a-while")
row.disabled = True
row.save()
"""


async def until_connected(connect: Callable[[], Any]) -> Any:
    """A key works within a second of its making."""
    for _ in range(50):
        try:
            return await connect()
        except InvalidStatus:
            await asyncio.sleep(0.05)
    return await connect()


async def test_a_kill_loses_nothing_that_was_reported(start: Start) -> None:
    stand = start()
    async with client_of(stand) as client:
        connection = await client.realtime.connect(model=MODEL).enter()
        for _ in range(3):
            await respond(connection)
        stand.signal(signal.SIGKILL)
        stand.kill()
        with pytest.raises(ConnectionClosed):
            await connection.recv()
    until(lambda: stand.mock.sockets[-1].gone.is_set(), bool)
    stand.start()
    row = row_of(stand, connection)
    assert (row["status"], row["error"]) == ("interrupted", "process_died")
    assert (row["usage_source"], row["cost_nano"]) == ("provider", 3 * COST)
    assert stand.stop() == 0
    assert "The ledger is sound" in stand.verify()


async def test_a_session_goes_on_for_the_time_to_drain_and_is_told_to_go_away(start: Start) -> None:
    stand = start(QLITE_DRAIN_TIMEOUT="1.5")
    async with client_of(stand) as client:
        connection = await client.realtime.connect(model=MODEL).enter()
        await connection.recv()
        stand.signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        await respond(connection)
        with pytest.raises(ConnectionClosed) as caught:
            await connection.recv()
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1001
    assert await asyncio.to_thread(stand.wait) == 0
    row = row_of(stand, connection)
    assert (row["status"], row["cost_nano"]) == ("settled", COST)
    assert "The ledger is sound" in stand.verify()
    assert "Traceback" not in stand.log.read_text()


async def test_a_caller_who_drops_the_connection_closes_the_provider_within_a_second(stand: Stand) -> None:
    async with client_of(stand) as client:
        connection = await client.realtime.connect(model=MODEL).enter()
        await respond(connection)
        connection._connection.transport.abort()
        async with asyncio.timeout(1):
            while not stand.mock.sockets[-1].gone.is_set():
                await asyncio.sleep(0.01)
    row = row_of(stand, connection)
    assert (row["client_gone"], row["cost_nano"]) == (1, COST)
