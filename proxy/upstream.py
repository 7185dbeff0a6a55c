"""Sends a request to a provider and says in our own errors what went wrong."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from proxy import limits
from proxy.errors import UpstreamError, UpstreamLost, UpstreamTimeout, UpstreamUnreachable
from proxy.providers.base import Adapter, Outgoing
from proxy.providers.stub import StubTransport
from proxy.transport import (
    AiohttpTransport,
    Body,
    Declined,
    ForbiddenAddress,
    Inbound,
    Outbound,
    Passed,
    Rule,
    Wire,
)
from routing.values import Provider, Target

ERROR_BYTES = 64 * 1024  # more of an error answer is not read


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, until the answer begins, between two reads, and for the whole answer."""

    connect: float
    first_byte: float
    idle: float
    total: float

    @property
    def before_answer(self) -> dict[str, float]:
        """How long a transport waits: nothing may take longer than the whole."""
        return {"connect": min(self.connect, self.total), "read": min(self.first_byte, self.total)}


class Upstream:
    """The sockets to all providers: one transport for each rule about which addresses may be called."""

    def __init__(
        self,
        timeouts: Timeouts,
        *,
        max_response_bytes: int,
        transports: Mapping[str, httpx.AsyncBaseTransport] | None = None,
    ) -> None:
        self._timeouts = timeouts
        self._max_bytes = max_response_bytes
        self._by_rule: dict[Rule, AiohttpTransport] = {}
        self._by_kind = {"stub": StubTransport()} if transports is None else dict(transports)

    def timeouts(self, target: Target) -> Timeouts:
        """Return the target's own timeouts, its provider's where it has none, ours where neither has."""
        ours, provider = self._timeouts, target.provider
        theirs = Timeouts(
            provider.connect_timeout or ours.connect,
            provider.first_byte_timeout or ours.first_byte,
            provider.idle_timeout or ours.idle,
            provider.total_timeout or ours.total,
        )
        own = target.limits
        if own is None:
            return theirs
        return Timeouts(
            own.connect_timeout or theirs.connect,
            own.first_byte_timeout or theirs.first_byte,
            own.idle_timeout or theirs.idle,
            own.total_timeout or theirs.total,
        )

    async def open(self, target: Target, out: Outgoing, adapter: Adapter) -> httpx.Response:
        """Send `out` and return the answer once its headers are here and its status is good. Whoever gets it closes it.

        Raises UpstreamError for anything else: no connection, no answer in time, an error status.
        """
        provider, wait = target.provider, self.timeouts(target)
        transport = self._by_kind.get(provider.kind) or self._transport(provider)
        request = Outbound(out.url, out.headers, out.body, wait.before_answer)
        try:
            response = await transport.handle_async_request(request)
        except httpx.TransportError as error:
            raise translated(error, provider.name) from error
        if response.status_code != 200:
            refused = adapter.error(
                response.status_code, response.headers, await self._error_body(response, wait.idle), target
            )
            refused.limits = limits_of(response)
            raise refused
        return response

    async def pass_on(self, target: Target, method: str, out: Outgoing) -> httpx.Response:
        """Send `out` and return the answer as it is, whatever its status. Whoever gets it closes it.

        Raises UpstreamError if there is none.
        """
        provider, wait = target.provider, self.timeouts(target).before_answer
        transport = self._by_kind.get(provider.kind) or self._transport(provider)
        try:
            return await transport.handle_async_request(Passed(method, out.url, out.headers, out.body, wait))
        except httpx.TransportError as error:
            raise translated(error, provider.name) from error

    async def connect(self, target: Target, out: Outgoing, adapter: Adapter, *, protocols: tuple[str, ...]) -> Wire:
        """Open a WebSocket to `target`. Whoever gets it closes it. Raises UpstreamError; then nothing was billed."""
        provider, wait = target.provider, self.timeouts(target).before_answer
        try:
            return await self._transport(provider).connect(
                out.url, out.headers, protocols=protocols, patience=wait, max_bytes=self._max_bytes
            )
        except Declined as declined:
            raise adapter.error(declined.status, declined.headers, declined.body, target) from None
        except httpx.TransportError as error:
            failure = translated(error, provider.name)
            failure.billable = False
            raise failure from error

    async def read(self, response: httpx.Response, target: Target, began: float) -> bytes:
        """Return the whole body and give the connection back. It was asked for at `began`, in monotonic seconds."""
        if isinstance(response, Inbound) and response.stream.arrived:  # type: ignore[union-attr]
            return await self._whole(response, target.provider)  # as most are with their head: no timer is needed
        wait = self.timeouts(target)
        response.stream.wait_at_most(wait.idle)  # type: ignore[union-attr]
        try:
            async with asyncio.timeout(began + wait.total - time.monotonic()):
                return await self._whole(response, target.provider)
        except TimeoutError:
            billable = response.status_code < 300
            raise UpstreamError(
                "The answer took too long.", status=504, code="upstream_timeout", billable=billable
            ) from None

    async def _whole(self, response: httpx.Response, provider: Provider) -> bytes:
        body: Body = response.stream  # type: ignore[assignment]
        parts, size = [], 0
        try:
            while part := await body.next():
                parts.append(part)
                size += len(part)
                if size > self._max_bytes:
                    raise UpstreamError(
                        f"The answer of {provider.name} is longer than {self._max_bytes} bytes.",
                        code="upstream_response_too_large",
                        billable=True,
                    )
        except httpx.TransportError as error:
            raise translated(error, provider.name) from error
        finally:
            body.close()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _error_body(self, response: httpx.Response, seconds: float) -> bytes:
        body: Body = response.stream  # type: ignore[assignment]
        raw = b""
        try:
            async with asyncio.timeout(seconds):
                while len(raw) < ERROR_BYTES and (part := await body.next()):
                    raw += part
        except (httpx.TransportError, TimeoutError):
            pass  # the status says enough
        finally:
            body.close()
        return raw

    def _transport(self, provider: Provider) -> AiohttpTransport:
        plain = provider.base_url.startswith("http:") and not provider.allow_insecure
        rule = Rule(provider.allow_private, private_only=plain)
        return self._by_rule.get(rule) or self._by_rule.setdefault(rule, AiohttpTransport(rule))

    async def aclose(self) -> None:
        for transport in self._by_rule.values():
            await transport.aclose()


def limits_of(response: httpx.Response) -> limits.Pairs:
    """Return the provider's rate-limit headers, without httpx's dear form of all of them."""
    return limits.told(response.raw_headers if isinstance(response, Inbound) else response.headers.raw)


def without_private(error: UpstreamError, provider: Provider) -> UpstreamError:
    """Return `error` without our credential and the provider's address, which some providers quote."""
    for private in (provider.secret, provider.base_url, urlsplit(provider.base_url).netloc):
        if private:
            error.message = error.message.replace(private, "***")
    return error


def translated(error: httpx.TransportError, name: str) -> UpstreamError:
    """Return our error for one of httpx's. Only what surely was not sent costs nothing."""
    if isinstance(error, ForbiddenAddress):
        return UpstreamUnreachable(f"The address of {name} may not be called.", code="upstream_forbidden_address")
    if isinstance(error, httpx.ConnectTimeout):
        failure: UpstreamError = UpstreamTimeout(f"{name} did not take the connection in time.")
        failure.sent = False
        return failure
    if isinstance(error, httpx.ConnectError):
        return UpstreamUnreachable(f"{name} cannot be reached.")
    if isinstance(error, httpx.ReadTimeout):
        return UpstreamTimeout(f"{name} did not answer in time.", billable=True)
    return UpstreamLost(f"The connection to {name} broke before the answer was complete.", billable=True)
