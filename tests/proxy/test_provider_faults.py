"""Providers in trouble: the catalogue's U-1 to U-6, U-16 and U-25, over real sockets."""

import asyncio
import datetime
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from loadtest.mockserver import Answer, MockServer
from proxy.errors import GatewayError
from proxy.upstream import Timeouts
from routing.breaker import FIRST_REST, LAST_RESORT
from tests.proxy.harness import ASK, Bench, bench, provider, route

SHORT = Timeouts(connect=0.3, first_byte=0.3, idle=2.0, total=10.0)
LIMIT_ALLOWANCE = 1.0  # seconds that the catalogue allows on top of a time limit


async def refused(gw: Bench, body: dict[str, Any] = ASK) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await gw.ask(body)
    return caught.value


def closed_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now.replace(2099))
    (folder / "cert.pem").write_bytes(made.sign(key, SHA256()).public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@asynccontextmanager
async def unreachable(kind: str, folder: Path) -> AsyncIterator[str]:
    """The base URL of a provider that cannot be reached in one way or another."""
    if kind == "refused":
        yield f"http://127.0.0.1:{closed_port()}/v1"
    elif kind == "no such name":
        yield "https://nobody.invalid/v1"
    else:
        context = self_signed(folder) if kind == "bad certificate" else None
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
        try:
            yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        finally:
            server.close()


@pytest.mark.parametrize("kind", ["refused", "no such name", "bad certificate", "no TLS"])
async def test_u1_who_cannot_be_reached_costs_nothing_and_the_next_is_tried_at_once(tmp_path: Path, kind: str) -> None:
    async with MockServer() as mock, unreachable(kind, tmp_path) as url:
        gone, fine = provider(url, "gone"), provider(mock.base_url, "fine")
        routes = [route("m", (gone, "x"), (fine, "ok"), retries=3), route("alone", (gone, "x"))]
        async with bench(tmp_path / "journal", routes) as gw:
            reply = await asyncio.wait_for(gw.ask(ASK), 5)
            assert reply.attempts == ["gone/x", "fine/ok"]
            error = await refused(gw, ASK | {"model": "alone"})
            assert (error.status, error.code) == (502, "upstream_connection_error")
            rows = await gw.rows()
            for attempt in (rows[0].attempts[0], rows[1].attempts[0]):
                assert (attempt.status, attempt.usage_source, attempt.cost_nano) == ("failed", "none", 0)


async def test_u2_a_black_hole_is_a_504_within_the_limit_and_its_socket_is_closed(tmp_path: Path) -> None:
    async with MockServer() as mock:
        mock.script("x", Answer(raw=True, chunks=[], then="hang"))
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "x"))], timeouts=SHORT) as gw:
            async with asyncio.timeout(SHORT.first_byte + LIMIT_ALLOWANCE):
                error = await refused(gw)
            assert (error.status, error.code) == (504, "upstream_timeout")
            (attempt,) = (await gw.row()).attempts
            assert (attempt.status, attempt.usage_source) == ("interrupted", "estimated")  # it may have been served
            async with asyncio.timeout(1):
                while mock.connections:
                    await asyncio.sleep(0.01)


async def test_u2_who_takes_no_connection_is_a_504_too_and_costs_nothing(tmp_path: Path) -> None:
    with full_backlog() as url:
        async with bench(tmp_path, [route("m", (provider(url), "x"))], timeouts=SHORT) as gw:
            async with asyncio.timeout(SHORT.connect + LIMIT_ALLOWANCE):
                error = await refused(gw)
            assert (error.status, error.code) == (504, "upstream_timeout")
            assert (await gw.row()).cost_nano == 0


@contextmanager
def full_backlog() -> Iterator[str]:
    """A port whose queue of connections is full: the next one gets no answer, as from a black hole."""
    with ExitStack() as opened:
        listener = opened.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@pytest.mark.parametrize("status", [500, 502, 503, 529, 408, 409])
@pytest.mark.parametrize("times", [1, 2])
async def test_u3_passing_trouble_is_tried_again(tmp_path: Path, status: int, times: int) -> None:
    async with MockServer() as mock:
        routes = [route("m", (provider(mock.base_url), f"{status}x{times}-then-ok"), retries=2)]
        async with bench(tmp_path, routes) as gw:
            reply = await gw.ask(ASK)
            assert len(reply.attempts) == times + 1
            row = await gw.row()
            assert [each.status for each in row.attempts] == ["failed"] * times + ["settled"]
            assert [each.http_status for each in row.attempts] == [status] * times + [200]


@pytest.mark.parametrize(("status", "told"), [(500, 502), (502, 502), (503, 503), (529, 503)])
async def test_u3_trouble_that_does_not_pass_is_told_in_our_words(tmp_path: Path, status: int, told: int) -> None:
    async with MockServer() as mock:
        async with bench(tmp_path, [route("m", (provider(mock.base_url), f"status-{status}"), retries=2)]) as gw:
            error = await refused(gw)
            assert (error.status, error.code) == (told, "upstream_error")
            assert len((await gw.row()).attempts) == 3


async def test_u3_a_stream_that_has_begun_is_never_tried_again(tmp_path: Path) -> None:
    async with MockServer() as mock:
        begun = b'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\n'
        mock.script("x", Answer(chunks=[begun, 0.05], then="cut"), Answer(chunks=[b"data: [DONE]\n\n"]))
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "x"), retries=3)]) as gw:
            assert b"stream_interrupted" in await gw.stream(ASK)
            assert len(mock.hits) == 1


def in_an_hour() -> str:
    return format_datetime(datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1), usegmt=True)


@pytest.mark.parametrize(
    ("said", "cools", "told"), [("1", 1, 1), ("3600", 60, 3600), ("soon", 1, 1), (in_an_hour, 60, 3600), ("-5", 1, 1)]
)
async def test_u4_who_asks_us_to_wait_is_left_alone_for_so_long(
    tmp_path: Path, said: Any, cools: int, told: int
) -> None:
    value = said() if callable(said) else said
    async with MockServer() as mock:
        busy, fine = provider(mock.base_url, "busy"), provider(mock.base_url, "fine")
        mock.script("x", Answer(status=429, headers={"retry-after": value}, body=b"{}"))
        routes = [route("m", (busy, "x"), (fine, "ok")), route("alone", (busy, "x"), retries=0)]
        async with bench(tmp_path, routes) as gw:
            now = gw.gateway.clock()
            gw.gateway.clock = lambda: now
            assert (await gw.ask(ASK)).attempts == ["busy/x", "fine/ok"]
            assert (await gw.ask(ASK)).attempts == ["fine/ok"]
            assert gw.gateway.health.resting("busy/x", now + cools - 0.1)
            error = await refused(gw, ASK | {"model": "alone"})
            assert (error.status, error.code) == (429, "upstream_rate_limited")
            assert error.retry_after == pytest.approx(told, abs=2)
            assert not gw.gateway.health.resting("busy/x", now + cools + 0.1)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_u5_the_callers_own_fault_is_relayed_and_tried_nowhere_else(tmp_path: Path, status: int) -> None:
    async with MockServer() as mock:
        said = b'{"error":{"message":"Bad thing.","type":"invalid_request_error","param":"x","code":"bad"}}'
        mock.script("x", Answer(status=status, body=said))
        first, second = provider(mock.base_url, "first"), provider(mock.base_url, "second")
        async with bench(tmp_path, [route("m", (first, "x"), (second, "ok"), retries=3)]) as gw:
            for _ in range(5):
                error = await refused(gw)
                assert (error.status, error.message, error.param, error.code) == (status, "Bad thing.", "x", "bad")
            assert len(mock.hits) == 5
            assert gw.gateway.health.calm  # and never counts against the target


async def test_u5_a_model_that_one_target_does_not_know_may_be_known_to_the_next(tmp_path: Path) -> None:
    async with MockServer() as mock:
        first, second = provider(mock.base_url, "first"), provider(mock.base_url, "second")
        routes = [route("m", (first, "status-404"), (second, "ok")), route("alone", (first, "status-404"), retries=3)]
        async with bench(tmp_path, routes) as gw:
            assert (await gw.ask(ASK)).attempts == ["first/status-404", "second/ok"]
            assert (await refused(gw, ASK | {"model": "alone"})).status == 404


@pytest.mark.parametrize("status", [401, 403])
async def test_u6_a_refused_credential_opens_the_breaker_and_is_never_relayed(tmp_path: Path, status: int) -> None:
    async with MockServer() as mock:
        first, second = provider(mock.base_url, "first"), provider(mock.base_url, "second")
        routes = [
            route("m", (first, f"status-{status}"), (second, "ok")),
            route("alone", (first, f"status-{status}"), retries=3),
        ]
        async with bench(tmp_path, routes) as gw:
            error = await refused(gw, ASK | {"model": "alone"})
            assert (error.status, error.code) == (502, "upstream_auth_error")
            assert len(mock.hits) == 1
            (change,) = gw.gateway.health.changes
            assert (change.state, change.reason) == ("open", "it does not accept our credential")
            assert (await gw.ask(ASK)).attempts == ["second/ok"]


@pytest.mark.parametrize("then", ["end", "cut", "reset"])
async def test_u16_a_stream_that_dies_before_its_first_piece_goes_elsewhere_unseen(tmp_path: Path, then: Any) -> None:
    async with MockServer() as mock:
        mock.script("x", Answer(chunks=[b"", 0.05], then=then))
        first, second = provider(mock.base_url, "first"), provider(mock.base_url, "second")
        async with bench(tmp_path, [route("m", (first, "x"), (second, "ok"))]) as gw:
            said = await gw.stream(ASK)
            assert said.count(b"data: [DONE]") == 1
            assert b'"error"' not in said
            row = await gw.row()
            assert [(each.target, each.status) for each in row.attempts] == [
                ("first/x", "interrupted"),
                ("second/ok", "settled"),
            ]


async def test_u25_when_all_are_down_most_are_told_at_once_and_one_finds_out_when_it_is_over(tmp_path: Path) -> None:
    """A minute of silence from both targets, on a clock of the test's own; work is counted, not time."""
    async with MockServer() as mock:
        for model in ("x", "y"):
            mock.script(model, Answer(raw=True, chunks=[], then="hang"))
        one, two = provider(mock.base_url, "one"), provider(mock.base_url, "two")
        timeouts = Timeouts(connect=5.0, first_byte=0.15, idle=5.0, total=10.0)
        async with bench(tmp_path, [route("m", (one, "x"), (two, "y"))], timeouts=timeouts) as gw:
            now = 1_800_000_000.0
            gw.gateway.clock = lambda: now
            for second in range(0, 60, 5):
                now = 1_800_000_000.0 + second
                await asyncio.gather(*(refused(gw) for _ in range(3)))
            seen = len(mock.hits)
            errors = await asyncio.gather(*(refused(gw) for _ in range(200)))
            # Of 200 at once a few go and see; the others are told without a look.
            assert len(mock.hits) - seen <= 2 * (LAST_RESORT + 1)
            told = [error for error in errors if error.code == "targets_resting"]
            assert len(told) >= 200 - 2 * (LAST_RESORT + 1)
            assert all(error.status == 503 and 1 <= (error.retry_after or 0) <= 60 for error in told)
            mock.script("x")
            mock.script("y")
            now += FIRST_REST
            replies = await asyncio.gather(*(gw.ask(ASK) for _ in range(3)))
            assert {reply.target for reply in replies} <= {"one/x", "two/y"}
            assert (await gw.ask(ASK)).target == "one/x"
            assert len(await asyncio.gather(*(gw.ask(ASK) for _ in range(20)))) == 20


async def test_u25_exactly_one_call_tries_a_target_that_may_be_well_again(tmp_path: Path) -> None:
    async with MockServer() as mock:
        one, two = provider(mock.base_url, "one"), provider(mock.base_url, "two")
        async with bench(tmp_path, [route("m", (one, "x"), (two, "ok"))]) as gw:
            now = gw.gateway.clock()
            gw.gateway.clock = lambda: now
            mock.script("x", Answer(status=500, body=b"{}"))
            for _ in range(3):
                await gw.ask(ASK)
            assert [hit.model for hit in mock.hits].count("x") == 3
            await asyncio.gather(*(gw.ask(ASK) for _ in range(20)))
            assert [hit.model for hit in mock.hits].count("x") == 3  # open: left alone
            mock.script("x", Answer(chunks=None, body=b'{"choices":[],"usage":{}}', delay=0.2))
            now += FIRST_REST
            await asyncio.gather(*(gw.ask(ASK) for _ in range(20)))
            assert [hit.model for hit in mock.hits].count("x") == 4  # half-open: one tried it
            assert gw.gateway.health.calm
