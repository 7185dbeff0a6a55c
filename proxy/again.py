"""A kept stream given again, in any dialect but chat's: its bytes take the way that they took when they first came."""

from proxy.cache import CHUNKS, Entry
from proxy.call import Call
from proxy.delivery import cost_text
from proxy.dialects.base import Dialect
from proxy.dialects.openai_chat import reported_usage
from proxy.passage import Passage
from proxy.relay import Relay
from proxy.stream import ProviderStream
from proxy.translation import Chunks, Translation


class Kept:
    """Bytes that are there already, read like a provider's."""

    patience = float("inf")

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def ended(self) -> bool:
        return not self._data

    async def next(self) -> bytes:
        data, self._data = self._data, b""
        return data

    def wait_at_most(self, seconds: float) -> None:
        """There is nothing to wait for."""

    def close(self) -> None:
        self._data = b""


async def stream_of(entry: Entry, call: Call, dialect: Dialect) -> bytes:
    """Return the events of `entry` for `call`, ended as any stream is, by its cost: nothing."""
    stream = _stream(entry, call, dialect)
    parts = []
    while part := await stream.next():
        parts.append(part)
    return b"".join(parts) + stream.closing(cost_text(0), wants_usage=call.wants_usage)


def _stream(entry: Entry, call: Call, dialect: Dialect) -> ProviderStream:
    source = Kept(entry.answer)
    if entry.form == CHUNKS:
        return Translation(source, Chunks(reported_usage, entry.usage), dialect.encoder(call.asked))
    if dialect.name == "completions":
        return Relay(source, reported_usage)
    return Passage(source, dialect.watcher(), dialect.encoder(call.asked))
