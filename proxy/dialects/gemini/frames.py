"""A stream of events as one JSON array, which Gemini sends to callers who did not ask for alt=sse."""

from proxy import sse
from proxy.call import Chunks


class ArrayFrames:
    """Each event's data becomes an element; comments have no place in it."""

    def __init__(self) -> None:
        self._count = 0

    def feed(self, block: bytes) -> bytes:
        """Return the elements for a block of whole events."""
        out = b""
        for event in sse.events(block):
            if (data := sse.data_of(event)) is not None:
                out += (b",\r\n" if self._count else b"[") + data
                self._count += 1
        return out

    def end(self) -> bytes:
        return b"]" if self._count else b"[]"


class ArrayChunks:
    """A stream on its way to the caller, see proxy.call.Chunks, with its events made into an array."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._frames = ArrayFrames()
        self.over = False

    async def next(self) -> bytes:
        out = b""
        while not out and not self.over:
            block = await self._chunks.next()
            out = self._frames.feed(block)
            if not block or self._chunks.over:
                self.over = True
                out += self._frames.end()
        return out

    def close(self) -> None:
        self._chunks.close()
