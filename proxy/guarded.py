"""A stage from the settings, held to what all stages owe: an error in a stream is told, and no stream stays open."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from proxy.call import STOPPING, Call, Chunks, Proceed, Reply
from proxy.delivery import Delivery
from proxy.errors import GatewayError, StreamCut
from proxy.native.flow import BrokenOff
from proxy.pipeline import Stage

log = logging.getLogger("qlite.stages")


class Guarded:
    """`stage`, and what it leaves undone where it raises. Implements proxy.pipeline.StreamStage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._wrap = getattr(stage, "around_stream", None)

    async def around(self, call: Call, proceed: Proceed) -> Reply:
        begun: list[Chunks] = []

        async def onward(call: Call) -> Reply:
            reply = await proceed(call)
            if reply.stream is not None:
                begun.append(reply.stream)
            return reply

        try:
            return await self._stage.around(call, onward)
        except Exception as error:
            for stream in begun:
                with suppress(BrokenOff):
                    await _last_words(stream, _said(error))
            raise
        except asyncio.CancelledError:
            for stream in begun:
                stream.close()
            raise

    def around_stream(self, call: Call, chunks: Chunks) -> Chunks:
        return chunks if self._wrap is None else GuardedChunks(call, chunks, self._wrap)


class GuardedChunks:
    """The stream `given`, as a stage changes it. Implements proxy.call.Chunks."""

    def __init__(self, call: Call, given: Chunks, wrap: Callable[[Call, Chunks], Chunks]) -> None:
        self._call, self._given = call, given
        self._failed = False
        self._trouble: Exception | None = None
        try:
            self._made = wrap(call, given)
        except Exception as error:
            self._made, self._trouble = given, error

    @property
    def over(self) -> bool:
        return self._failed or self._made.over

    async def next(self) -> bytes:
        if self._failed:
            return b""
        try:
            if self._trouble is not None:
                raise self._trouble
            return await self._made.next()
        except asyncio.CancelledError as cancelled:
            if cancelled.args != (STOPPING,):
                raise
            return await self.fail(StreamCut("The gateway is shutting down.", code=STOPPING))
        except Exception as error:
            if not isinstance(error, GatewayError):
                log.exception("a stage failed in the midst of a stream, request %s", self._call.entry.id)
            return await self.fail(_said(error))

    async def fail(self, error: GatewayError) -> bytes:
        """Settle what was delivered and return one error event. Raises what cuts the connection where there is none."""
        self._failed = True
        return await _last_words(self._given, error)

    def close(self) -> None:
        self._made.close()
        self._given.close()


async def _last_words(stream: Chunks, error: GatewayError) -> bytes:
    if isinstance(stream, Delivery | GuardedChunks):
        return await stream.fail(error)
    stream.close()
    raise error


def _said(error: Exception) -> GatewayError:
    """Return what the caller may know of it."""
    return error if isinstance(error, GatewayError) else GatewayError("Something went wrong inside the gateway.")
