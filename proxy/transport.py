"""The one place that opens sockets to providers: an httpx transport over aiohttp, with errors mapped precisely.

httpx's own pool collapses at a few hundred requests in flight, so its API stays and aiohttp does the work
(docs/decisions/0003). Nothing is ever redirected, proxied, or decompressed.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from socket import AddressFamily

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from multidict import CIMultiDict
from yarl import URL

from proxy import kept
from proxy.reuse import Connector, NotTaken
from routing.address import AddressRefused, check_ip

READ_BYTES = 256 * 1024  # what one connection may hold unread before the provider is told to wait
KEEPALIVE_SECONDS = 15.0
PING_SECONDS = 30.0
GOODBYE_SECONDS = 0.5  # for the other side of a WebSocket to take ours
DECLINED_BYTES = 64 * 1024  # more of a refused handshake's answer is not read
NO_TIMEOUT = aiohttp.ClientTimeout(total=None)
SKIPPED = frozenset({"User-Agent", "Accept-Encoding", "Accept"})


class Declined(Exception):
    """A provider answered a WebSocket's handshake with anything but 101."""

    def __init__(self, status: int, headers: httpx.Headers, body: bytes) -> None:
        super().__init__(f"the handshake was answered with status {status}")
        self.status, self.headers, self.body = status, headers, body


class ForbiddenAddress(httpx.ConnectError):
    """The provider's address may not be called."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Which addresses may be called: private ones too, or only those (plain http to a machine of one's own)."""

    allow_private: bool = False
    private_only: bool = False

    def check(self, ip: str) -> None:
        """Raise AddressRefused for an address that may not be called."""
        check_ip(ip, allow_private=self.allow_private, private_only=self.private_only)


class AddressCheck(AbstractResolver):
    """Resolves names and leaves only addresses that may be called, so a name cannot flip to a private one."""

    def __init__(self, rule: "Rule") -> None:
        self._names = ThreadedResolver()
        self._rule = rule

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AddressFamily.AF_INET
    ) -> list[ResolveResult]:
        found = await self._names.resolve(host, port, family)
        for entry in found:
            self._rule.check(entry["host"])
        return found

    async def close(self) -> None:
        await self._names.close()


class Outbound(httpx.Request):
    """A POST whose headers are put into httpx's form only when something asks for them: the hot path does not."""

    def __init__(self, url: str, pairs: tuple[tuple[str, str], ...], content: bytes, timeout: dict[str, float]) -> None:
        self.method = "POST"
        self.url, self.address = _parsed(url)
        self.pairs = pairs
        self.extensions = {"timeout": timeout}
        self.stream = httpx.ByteStream(content)
        self._content = content

    @cached_property
    def headers(self) -> httpx.Headers:  # type: ignore[override]
        length = ("content-length", str(len(self._content)))
        return httpx.Headers([("host", self.url.netloc.decode()), *self.pairs, length])


class Passed(Outbound):
    """A request of any method, whose address stays byte for byte what it is. Not on the hot path."""

    def __init__(
        self, method: str, url: str, pairs: tuple[tuple[str, str], ...], content: bytes, timeout: dict[str, float]
    ) -> None:
        super().__init__("http://passed.invalid", pairs, content, timeout)
        self.method = method
        self.address = url
        self.url = url  # type: ignore[assignment]  # httpx would spell it anew
        self._content = content or None  # type: ignore[assignment]  # or a GET would say that it has a body


class Inbound(httpx.Response):
    """An answer whose headers are put into httpx's form only when something asks for them."""

    def __init__(self, answer: kept.Answer | aiohttp.ClientResponse, request: httpx.Request) -> None:
        self.status_code = answer.status
        self.stream = Body(answer, request.extensions.get("timeout", {}).get("read") or float("inf"))
        self.extensions = {}
        self.is_closed = self.is_stream_consumed = False
        self.next_request = None
        self.history = []
        self.default_encoding = "utf-8"
        self._raw, self._request = answer.raw_headers, request

    @property
    def raw_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return self._raw

    @cached_property
    def headers(self) -> httpx.Headers:  # type: ignore[override]
        return httpx.Headers(list(self._raw))


@lru_cache(maxsize=1024)
def _parsed(url: str) -> tuple[httpx.URL, str]:
    """Return the URL, and how httpx spells it, which takes longer than to look it up."""
    parsed = httpx.URL(url)
    return parsed, str(parsed)


class Body(httpx.AsyncByteStream):
    """An answer's bytes as they come from the socket. Also says when it has ended, for the hot path."""

    def __init__(self, response: kept.Answer | aiohttp.ClientResponse, patience: float) -> None:
        self._response = response
        self.patience = patience  # seconds between two reads

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._response.content
        try:
            while chunk := await content.readany():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise mapped(error) from error

    async def next(self) -> bytes:
        """Return what has arrived, waiting for something if need be; b"" at the end."""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise mapped(error) from error

    @property
    def arrived(self) -> bool:
        """Whether nothing is left to wait for."""
        return self._response.content.is_eof()

    @property
    def ended(self) -> bool:
        return self._response.content.at_eof()

    def wait_at_most(self, seconds: float) -> None:
        """From now on wait no longer than that between two reads. aiohttp would let the wait that has begun go on."""
        self.patience = seconds
        connection = self._response.connection
        if connection is not None and connection.protocol is not None and not self.arrived:
            connection.protocol.read_timeout = seconds
            connection.protocol.start_timeout()

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back if the answer was read to its end, else close it."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class Wire:
    """An open WebSocket to a provider."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        connection = socket._response.connection
        self._transport = connection.transport if connection is not None else None
        self.protocol = socket.protocol

    async def receive(self) -> aiohttp.WSMessage:
        """Return the next message, or how it ended: CLOSE with a code, CLOSED without, ERROR."""
        return await self._socket.receive()

    async def send(self, data: str | bytes) -> None:
        """Send a message, and wait while too much waits to be read. Raises OSError once it is closed."""
        if isinstance(data, str):
            await self._socket.send_str(data)
        else:
            await self._socket.send_bytes(data)

    async def close(self, code: int) -> None:
        """Say goodbye, but not to one who does not listen."""
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._socket.close(code=code)
        except (TimeoutError, OSError):
            pass
        if self._transport is not None and self._transport.get_write_buffer_size():
            self._transport.abort()


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends httpx requests over one aiohttp session. Belongs to the loop that first uses it.

    Timeouts come in `request.extensions["timeout"]` as httpx has them: connect, and read (between two reads).
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._session: aiohttp.ClientSession | None = None
        self._connector: Connector

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        session = self._session or self._open()
        if not isinstance(request, Outbound):
            body, limits = await request.aread(), request.extensions.get("timeout") or {}
            request = Passed(request.method, str(request.url), tuple(request.headers.items()), body, limits)
        try:
            url = _address(request.address, self._rule)
        except AddressRefused as error:
            raise mapped(error) from error
        while True:
            try:
                return Inbound(await self._answer(session, request, url), request)
            except NotTaken:
                continue  # each idle connection comes up once, and a new one is never that
            except (aiohttp.ClientError, TimeoutError, OSError, AddressRefused) as error:
                raise mapped(error) from error

    async def _answer(
        self, session: aiohttp.ClientSession, request: Outbound, url: URL
    ) -> kept.Answer | aiohttp.ClientResponse:
        """Send once, on an idle connection if there is one."""
        limits = request.extensions["timeout"]
        if type(request) is Outbound and len(request.content) <= kept.SMALL_BYTES:
            idle = await self._connector._get(kept.key_of(url), [])
            if idle is not None:
                return await kept.post(
                    idle, url, request.pairs, request.content, read_timeout=limits.get("read"), read_bytes=READ_BYTES
                )
        return await session._request(
            request.method,
            url,
            data=request.content,
            headers=CIMultiDict(request.pairs),
            allow_redirects=False,
            timeout=_timeouts(limits.get("connect"), limits.get("read")),
        )

    def _open(self) -> aiohttp.ClientSession:
        self._connector = Connector(
            limit=0,
            resolver=AddressCheck(self._rule),
            keepalive_timeout=KEEPALIVE_SECONDS,
            ttl_dns_cache=60,
        )
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=NO_TIMEOUT,
            read_bufsize=READ_BYTES,
            skip_auto_headers=SKIPPED,
        )
        self._session._retry_connection = False  # aiohttp would send again what may have been taken
        return self._session

    async def connect(
        self,
        url: str,
        pairs: tuple[tuple[str, str], ...],
        *,
        protocols: tuple[str, ...],
        patience: dict[str, float],
        max_bytes: int,
    ) -> Wire:
        """Open a WebSocket. Raises Declined where the provider answers with another status, TransportError otherwise.

        A message longer than `max_bytes` ends it. A provider that stops answering pings is given up.
        """
        session = self._session or self._open()
        # A session of its own, since aiohttp has a handshake's timeouts nowhere else, and follows redirects.
        handshake = aiohttp.ClientSession(
            connector=session.connector,
            connector_owner=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            timeout=_timeouts(patience.get("connect"), patience.get("read")),
            middlewares=(_only_upgrades,),
            skip_auto_headers=SKIPPED,
        )
        try:
            socket = await handshake.ws_connect(
                _address(url, self._rule),
                headers=CIMultiDict(pairs),
                protocols=protocols,
                max_msg_size=max_bytes,
                heartbeat=PING_SECONDS,
            )
            return Wire(socket)
        except Declined:
            raise
        except (aiohttp.ClientError, TimeoutError, OSError, AddressRefused) as error:
            raise mapped(error) from error
        finally:
            handshake.detach()

    async def aclose(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None


async def _only_upgrades(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Raise Declined, before anybody follows a redirect, unless the handshake succeeds."""
    answer = await handler(request)
    if answer.status == 101:
        return answer
    try:
        body = await answer.content.read(DECLINED_BYTES)
    finally:
        answer.close()
    raise Declined(answer.status, httpx.Headers(list(answer.raw_headers)), body)


@lru_cache(maxsize=4096)
def _address(text: str, rule: Rule) -> URL:
    """Return the URL; an address written as a number is checked here, since no resolver will see it."""
    url = URL(text, encoded=True)
    host = (url.host or "").strip("[]")
    if host.replace(".", "").isdigit() or ":" in host:
        rule.check(host)
    return url


@lru_cache(maxsize=256)
def _timeouts(connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=connect, connect=None, sock_read=read)


def mapped(error: BaseException) -> httpx.TransportError:
    """Return httpx's error for one of aiohttp's.

    What matters is whether the provider may have seen the request: ConnectError and ConnectTimeout say it has
    not, everything else that it may have, and may bill it.
    """
    text = type(error).__name__
    if isinstance(error, AddressRefused) or isinstance(error.__cause__, AddressRefused):
        return ForbiddenAddress("the provider's address may not be called")
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return httpx.ConnectTimeout("no connection in time")
    if isinstance(error, aiohttp.ClientConnectorError | ssl.SSLCertVerificationError):
        return httpx.ConnectError(f"no connection ({text})")
    if isinstance(error, aiohttp.SocketTimeoutError | asyncio.TimeoutError):
        return httpx.ReadTimeout("no answer in time")
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        return httpx.RemoteProtocolError(f"the connection ended early ({text})")
    return httpx.ReadError(f"the connection broke ({text})")
