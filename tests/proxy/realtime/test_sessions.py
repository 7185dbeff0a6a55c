"""Sessions of the Realtime API over real sockets to a scripted provider."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.ledger import recover
from accounts.ledger.entry import Entry
from accounts.ledger.journal import Journal, JournalUnavailable
from accounts.prices import Price
from loadtest.mockserver import Socket
from loadtest.upstream import realtime as script
from proxy.call import STOPPING
from proxy.realtime.meter import TRANSCRIBED, usage_of
from tests.proxy.harness import GRANT, PRICE
from tests.proxy.realtime.harness import COST, USED, live
from tests.site.test_handler import KEY


class Full(Journal):
    """A journal whose disk is full."""

    def __init__(self) -> None:
        pass

    def _refuse(self, entry: Entry) -> None:
        raise JournalUnavailable("full")

    open = update = settle = _refuse


async def until(true: Any) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.005)


def test_the_scripted_usage_is_what_the_tests_say() -> None:
    assert usage_of(script.USAGE) == USED


async def test_a_session_is_accepted_metered_and_settled(tmp_path: Path) -> None:
    async with live(tmp_path) as gw:
        caller = await gw.call()
        assert caller.status == 101
        assert caller.headers["x-provider"] == "my-openai" and caller.headers["x-qlite-id"]
        assert (await caller.event("session.created"))["session"]["model"] == "gpt-realtime"
        for _ in range(3):
            await caller.respond()
        caller.leave()
        await caller.over()
        row = await gw.row()
    assert (row.surface, row.status, row.error, row.client_gone) == ("realtime", "settled", "", False)
    assert (row.route, row.model_asked, row.model, row.http_status) == ("voice", "voice", "gpt-realtime", 101)
    assert row.usage == {unit: 3 * count for unit, count in USED.as_dict().items()}
    assert (row.usage_source, row.cost_status, row.cost_nano) == ("provider", "priced", 3 * COST)
    assert [(each.number, each.status, each.http_status) for each in row.attempts] == [(1, "settled", 101)]


async def test_a_session_without_a_word_costs_nothing(tmp_path: Path) -> None:
    async with live(tmp_path) as gw:
        caller = await gw.call()
        caller.leave()
        await caller.over()
        row = await gw.row()
    assert (row.status, row.usage, row.cost_nano, row.usage_source) == ("settled", {}, 0, "none")


MESSAGES = st.lists(st.one_of(st.text(st.characters(exclude_categories=("Cs",))), st.binary()), max_size=20)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=MESSAGES, pieces=st.integers(1, 4))
def test_messages_pass_as_they_are(tmp_path: Path, messages: list[str | bytes], pieces: int) -> None:
    async def echo(socket: Socket) -> None:
        while (message := await socket.receive()) is not None:
            await socket.send(message, pieces=pieces)

    async def go() -> None:
        async with live(tmp_path) as gw:
            gw.mock.talk("gpt-realtime", echo)
            caller = await gw.call()
            for message in messages:
                caller.say(message)
            assert [await caller.hear() for _ in messages] == messages
            assert gw.socket.heard == messages
            caller.leave()
            await caller.over()

    asyncio.run(go())


async def test_large_messages_pass_too(tmp_path: Path) -> None:
    async with live(tmp_path, max_response_bytes=4 * 2**20) as gw:
        caller = await gw.call()
        large = orjson.dumps({"type": "input_audio_buffer.append", "audio": "A" * 3 * 2**20}).decode()
        await caller.hear()
        for message in (large, large.encode()):
            caller.say(message)
            assert await caller.hear() == message


async def test_what_was_reported_is_in_the_journal_before_it_is_handed_on(tmp_path: Path) -> None:
    async with live(tmp_path) as gw:
        caller = await gw.call()
        (opened,) = gw.open_rows()
        assert [each.status for each in opened.attempts] == ["open"]
        for number in (1, 2):
            await caller.respond()
            (found,) = gw.open_rows()
            recover.interrupt(found, gw.gateway.book, alive_at=0.0)
            assert (found.status, found.cost_nano, found.usage_source) == ("interrupted", number * COST, "provider")


async def test_an_event_that_cannot_be_recorded_is_not_handed_on(tmp_path: Path) -> None:
    async with live(tmp_path) as gw:
        caller = await gw.call()
        await caller.event("session.created")
        gw.gateway.journal, kept = Full(), gw.gateway.journal
        caller.say({"type": "response.create"})
        kinds = [orjson.loads(heard)["type"] async for heard in caller.heard()]
        assert kinds[-1] == "error" and "response.done" not in kinds
        assert caller.closed == (1011, "ledger_unavailable")
        gw.gateway.journal = kept
        row = await gw.row()  # written as soon as the journal takes it
    assert (row.status, row.error, row.usage_source) == ("interrupted", "ledger_unavailable", "provider")


async def test_a_caller_who_leaves_in_the_middle_pays_for_what_was_made(tmp_path: Path) -> None:
    async def talk(socket: Socket) -> None:
        await script.begin(socket, "resp_1")
        await script.done(socket, "resp_1")
        await script.begin(socket, "resp_2")
        await socket.gone.wait()

    async with live(tmp_path) as gw:
        gw.mock.talk("gpt-realtime", talk)
        caller = await gw.call()
        await caller.event("response.done")
        for _ in script.WORDS:
            await caller.event("response.output_text.delta")
        caller.leave(1006)
        async with asyncio.timeout(1):
            await gw.socket.gone.wait()
        row = await gw.row()
    assert (row.status, row.error, row.client_gone) == ("interrupted", "client_disconnected", True)
    assert row.usage_source == "estimated"
    assert row.cost_nano > COST
    assert row.usage["output"] == USED.output + len(script.WORDS)


async def test_a_caller_who_leaves_closes_the_provider_with_the_same_code(tmp_path: Path) -> None:
    async with live(tmp_path) as gw:
        caller = await gw.call(hangup=False)
        caller.leave(4001)
        async with asyncio.timeout(1):
            await gw.socket.gone.wait()
        assert gw.socket.closed == 4001


async def test_a_caller_who_leaves_frees_a_message_that_the_provider_does_not_take(tmp_path: Path) -> None:
    async with live(tmp_path) as gw:
        caller = await gw.call()
        await caller.hear()
        gw.socket.stop_reading()
        for _ in range(64):
            caller.say(b"x" * 2**20)
        await until(lambda: caller._in.qsize() < 64)
        stuck = caller._in.qsize()
        assert stuck > 32  # the rest waits at the caller's
        caller.leave(1006)
        async with asyncio.timeout(3):
            await caller.over()
        assert (await gw.row()).client_gone


async def test_the_provider_waits_while_the_caller_does_not_read(tmp_path: Path) -> None:
    sent = 0

    async def talk(socket: Socket) -> None:
        nonlocal sent
        while not socket.gone.is_set():
            await socket.send(b"x" * 2**18)
            await asyncio.sleep(0)
            sent += 1

    async with live(tmp_path) as gw:
        gw.mock.talk("gpt-realtime", talk)
        caller = await gw.call()
        caller.reads.clear()
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 100
        caller.reads.set()
        await until(lambda: sent > before)
        caller.leave()
        await caller.over()


async def test_how_the_provider_closes_is_how_the_caller_is_closed(tmp_path: Path) -> None:
    async def talk(socket: Socket) -> None:
        await socket.close(4321, "enough")
        await socket.gone.wait()

    async with live(tmp_path) as gw:
        gw.mock.talk("gpt-realtime", talk)
        caller = await gw.call()
        await caller.over()
        assert caller.closed == (4321, "enough")
        assert (await gw.row()).status == "settled"


async def test_a_provider_that_breaks_off_is_told_as_an_error(tmp_path: Path) -> None:
    async def talk(socket: Socket) -> None:
        await script.begin(socket, "resp_1")
        socket.break_off()

    async with live(tmp_path) as gw:
        gw.mock.talk("gpt-realtime", talk)
        caller = await gw.call()
        assert (await caller.event("error"))["error"]["code"] == "stream_interrupted"
        await caller.over()
        assert caller.closed is not None and caller.closed[0] == 1011
        row = await gw.row()
        assert gw.gateway.health.providers(gw.gateway.clock())["my-openai"]
    assert (row.status, row.error, row.usage_source) == ("interrupted", "stream_interrupted", "estimated")


async def test_a_message_beyond_the_limit_ends_the_session(tmp_path: Path) -> None:
    async def talk(socket: Socket) -> None:
        await socket.send("x" * 5000)
        await socket.gone.wait()

    async with live(tmp_path, max_response_bytes=1000) as gw:
        gw.mock.talk("gpt-realtime", talk)
        caller = await gw.call()
        assert (await caller.event("error"))["error"]["code"] == "upstream_response_too_large"
        await caller.over()
        assert caller.closed is not None and caller.closed[0] == 1009
        assert (await gw.row()).status == "failed"  # nothing was used


async def test_a_key_that_is_revoked_ends_the_session_soon(tmp_path: Path) -> None:
    async with live(tmp_path) as gw:
        caller = await gw.call()
        await caller.respond()
        gw.gateway.keys = {KEY.digest: replace(GRANT, disabled=True)}
        async with asyncio.timeout(1.5):
            assert (await caller.event("error"))["error"]["code"] == "invalid_api_key"
            await caller.over()
        assert caller.closed == (1008, "invalid_api_key")
        await until(lambda: gw.socket.closed == 1008)
        row = await gw.row()
    assert (row.status, row.error, row.cost_nano) == ("settled", "invalid_api_key", COST)


async def test_a_session_in_which_nobody_speaks_is_ended(tmp_path: Path, settings: Any) -> None:
    settings.REALTIME_IDLE_SECONDS = 0.1
    async with live(tmp_path) as gw:
        caller = await gw.call()
        assert (await caller.event("error"))["error"]["code"] == "session_idle"
        await caller.over()
        assert (await gw.row()).error == "session_idle"


async def test_a_stopping_server_settles_what_was_said(tmp_path: Path) -> None:
    async with live(tmp_path) as gw:
        caller = await gw.call()
        await caller.respond()
        caller.task.cancel(STOPPING)
        await until(lambda: caller.closed)
        assert caller.closed == (1001, "going away")
        row = await gw.row()
    assert (row.status, row.cost_nano, row.error) == ("settled", COST, STOPPING)


async def test_what_is_heard_is_transcribed_at_the_price_of_the_model_that_does(tmp_path: Path) -> None:
    heard = {
        "type": "tokens", "total_tokens": 30, "input_tokens": 20, "output_tokens": 10,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 20},
    }  # fmt: skip

    async def talk(socket: Socket) -> None:
        session = {"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}}
        await socket.send(script.event("session.updated", session=session))
        for _ in range(2):
            await socket.send(script.event(TRANSCRIBED, transcript="Hello", usage=heard))
        await script.begin(socket, "resp_1")
        await script.done(socket, "resp_1")
        await socket.gone.wait()

    dear = Price(2, "", "", "gpt-4o-transcribe", 0.0, {"input": 10_000_000_000, "output": 20_000_000_000})
    async with live(tmp_path, prices=(PRICE, dear)) as gw:
        gw.mock.talk("gpt-realtime", talk)
        caller = await gw.call()
        await caller.event("response.done")
        (found,) = gw.open_rows()
        caller.leave()
        await caller.over()
        row = await gw.row()
    cost = COST + 40 * 10_000 + 20 * 20_000
    assert (row.model, row.cost_nano, row.status) == ("gpt-realtime", cost, "settled")
    assert [(each.number, each.model, each.status) for each in row.attempts] == [
        (1, "gpt-4o-transcribe", "settled"),
        (2, "gpt-realtime", "settled"),
    ]
    recover.interrupt(found, gw.gateway.book, alive_at=0.0)
    assert found.cost_nano == cost
