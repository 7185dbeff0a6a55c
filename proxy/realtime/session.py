"""One session: messages pass both ways as they are, and what they report is in the journal before it is handed on.

It ends when either side leaves, when the key is no longer good, when nobody has said anything for long, or with the
server. Then it is settled, the caller is told why, and the provider's socket is closed.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from aiohttp import WebSocketError, WSMsgType

from accounts.ledger.journal import JournalUnavailable
from proxy import settle
from proxy.call import STOPPING, Call
from proxy.errors import GatewayError, StreamCut, Unavailable
from proxy.gateway import Gateway
from proxy.realtime.bill import Bill
from proxy.realtime.opening import Opened

log = logging.getLogger("qlite.realtime")

LOOK_SECONDS = 0.5  # between two looks at the key and at the clock
GOODBYE_SECONDS = 0.5  # for the caller to take our farewell
NORMAL, GOING_AWAY, NO_CODE, REFUSED, TOO_BIG, FAILED = 1000, 1001, 1005, 1008, 1009, 1011
SENDABLE = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})


class Client(Protocol):
    """The caller's end of a session."""

    async def tell(self, data: str | bytes) -> None:
        """Send a message, and wait while too much waits to be read."""
        ...

    async def leave(self, code: int, reason: str) -> None:
        """Close."""
        ...


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a session ends, and what the caller is told. `blamed`: it is the provider's fault. `gone`: the caller's."""

    code: int = NORMAL
    reason: str = ""
    error: GatewayError | None = None
    blamed: bool = False
    gone: bool = False


class Session:
    """A session that a provider has taken. `check` raises GatewayError as soon as it may not go on."""

    def __init__(
        self, gateway: Gateway, call: Call, opened: Opened, client: Client, *, check: Callable[[], None], idle: float
    ) -> None:
        self._gateway, self._client, self._check, self._idle = gateway, client, check, idle
        self._wire, self._provider = opened.wire, opened.at.provider.name
        self._bill = Bill(gateway, call, opened.attempt, opened.at)
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._ending: Ending | None = None
        self._listening = False
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look)
        self._task = gateway.spawn(self._live())

    async def say(self, data: str | bytes) -> None:
        """Hand on a message of the caller's, and wait while the provider does not read."""
        if self._ending is not None:
            return
        self._last = self._loop.time()
        with suppress(OSError):  # whoever listens is told
            if isinstance(data, str):
                self._bill.meter.sent(data)
            await self._wire.send(data)

    def hung_up(self, code: int | None = None) -> None:
        """The caller has left, with this code."""
        regular = code in {NORMAL, GOING_AWAY, NO_CODE}
        self.end(Ending(code if code is not None and _sendable(code) else NORMAL, gone=not regular))

    def stopping(self) -> None:
        """The server has no more time."""
        self.end(Ending(GOING_AWAY, "going away", Unavailable("The gateway is shutting down.", code=STOPPING)))

    def end(self, ending: Ending) -> None:
        """End the session, unless it is ending already."""
        if self._ending is None:
            self._ending = ending
            if self._listening:  # a task that is cancelled before its first step would never settle
                self._task.cancel()

    def _look(self) -> None:
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look)
        if self._loop.time() - self._last > self._idle:
            error = GatewayError("Nothing was said for too long.", status=408, code="session_idle")
            self.end(Ending(REFUSED, "idle", error))
        try:
            self._check()
        except GatewayError as error:
            self.end(Ending(REFUSED, error.code or "", error))

    async def _live(self) -> None:
        self._listening = True
        try:
            ending = self._ending or await self._listen()
        except asyncio.CancelledError:
            ending = self._ending or Ending(GOING_AWAY)
        except GatewayError as error:
            ending = Ending(FAILED if error.status >= 500 else REFUSED, error.code or "", error)
        except Exception:
            log.exception("a session failed, request %s", self._bill.entry.id)
            ending = Ending(FAILED, error=GatewayError("Something went wrong inside the gateway."))
        self._ending = self._ending or ending
        self._timer.cancel()
        await self._finish(self._ending)

    async def _listen(self) -> Ending:
        """Hand on what the provider says, until it says no more."""
        while True:
            message: Any = await self._wire.receive()
            self._last = self._loop.time()
            if message.type is WSMsgType.TEXT:
                reported = self._bill.meter.received(message.data)
                if reported:
                    await self._record()
                await self._client.tell(message.data)
                if reported:
                    self._bill.go_on()
            elif message.type is WSMsgType.BINARY:
                await self._client.tell(message.data)
            else:
                return self._left(message)

    async def _record(self) -> None:
        try:
            self._bill.record()
        except JournalUnavailable as error:
            raise Unavailable(settle.LEDGER_DOWN) from error
        await settle.written(self._gateway)

    def _left(self, message: Any) -> Ending:
        """Return how the provider has ended the session."""
        if message.type is WSMsgType.CLOSE:
            code = message.data or NORMAL
            return Ending(code if _sendable(code) else FAILED, message.extra or "")
        if isinstance(message.data, WebSocketError):
            large = message.data.code == TOO_BIG
            code = "upstream_response_too_large" if large else "upstream_invalid_response"
            error = StreamCut(f"A message of {self._provider} cannot be handed on.", code=code)
            return Ending(TOO_BIG if large else FAILED, code, error, blamed=True)
        error = StreamCut(f"{self._provider} broke off the session.")
        return Ending(FAILED, error.code or "", error, blamed=True)

    async def _finish(self, ending: Ending) -> None:
        error = ending.error
        try:
            self._bill.settle(error.code or "" if error else "", blamed=ending.blamed, gone=ending.gone)
            await settle.written(self._gateway)
        except Unavailable:
            log.error("a session cannot be settled yet, request %s", self._bill.entry.id)
        if error is not None and not ending.gone:
            await _within(self._client.tell(told(error, self._bill.entry.id)))
        await _within(self._client.leave(ending.code, ending.reason))
        await self._wire.close(ending.code)


async def _within(goodbye: Coroutine[Any, Any, Any]) -> None:
    with suppress(TimeoutError, OSError):  # nobody listens
        await asyncio.wait_for(goodbye, GOODBYE_SECONDS)


def told(error: GatewayError, id: str) -> str:
    """Return the event that tells an error in the words of the Realtime API."""
    detail = error.body()["error"] | {"event_id": None}
    return orjson.dumps({"type": "error", "event_id": f"event_{id}", "error": detail}).decode()


def _sendable(code: int) -> bool:
    return code in SENDABLE or 3000 <= code <= 4999
