"""A stream between two dialects: the provider's events become OpenAI's chunks, and those the caller's events."""

from collections.abc import Callable, Mapping

import orjson

from accounts.prices import Usage
from proxy import sse
from proxy.dialects.base import StreamEncoder
from proxy.errors import GatewayError, StreamCut
from proxy.providers.base import Json, StreamTranslator
from proxy.providers.breaks import reported
from proxy.providers.likenesses import Numbers
from proxy.providers.likenesses import chunk as in_form
from proxy.stream import ProviderStream, Source


class Chunks:
    """The translator for providers who speak OpenAI's chat: an event is a chunk already.

    `so_far` is the usage where that is known beforehand, `names` the caller's of functions that were renamed.
    """

    def __init__(
        self,
        usage_of: Callable[[Json], Usage | None],
        so_far: Usage | None = None,
        *,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self._usage_of, self._names = usage_of, names or {}
        self._finished = self._summed_up = False
        self._numbers = Numbers()
        self.so_far = so_far
        self.unread = 0
        self.ended = False

    @property
    def usage(self) -> Usage | None:
        return self.so_far if self.ended or self._finished or self._summed_up else None

    def feed(self, name: bytes, data: bytes) -> list[Json]:
        if data.strip() == b"[DONE]":
            self.ended = True
            return []
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            self.unread += 1  # one bad event does not end a good stream
            return []
        if not isinstance(chunk, dict):
            return []
        if (cut := reported(name, chunk)) is not None:
            raise cut
        used = self._usage_of(chunk)
        self.so_far = used or self.so_far
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices:
            self._summed_up = self._summed_up or used is not None  # nothing but usage: its last word
            return []
        self._finished = self._finished or any(isinstance(c, dict) and c.get("finish_reason") for c in choices)
        return [in_form(chunk, self._numbers, self._names)]

    def finish(self) -> list[Json]:
        if not (self.ended or self._finished):
            raise StreamCut("The provider ended the stream before the answer was complete.")
        return []


class Translation(ProviderStream):
    """`kept` holds OpenAI's chunks as events, whatever provider and caller speak. `note` is shown each chunk."""

    def __init__(
        self,
        body: Source,
        translator: StreamTranslator,
        encoder: StreamEncoder,
        *,
        model: str = "",
        note: Callable[[Json], None] | None = None,
        deadline: float = float("inf"),
    ) -> None:
        super().__init__(body, deadline=deadline)
        self._translator, self._encoder = translator, encoder
        self._note = note
        self._model = model  # what the answer says its model is, where that is not the upstream's

    @property
    def usage(self) -> Usage | None:
        return self._translator.usage

    @property
    def so_far(self) -> Usage | None:
        return self._translator.so_far

    @property
    def unread(self) -> int:
        return self._translator.unread

    def closing(self, cost: str, *, wants_usage: bool) -> bytes:
        before, after = self._encoder.end(self.usage or self.counted, cost)
        told = sse.comment(f"x-request-cost={cost}") if self._encoder.comments else b""
        return before + told + after

    def failure(self, error: GatewayError) -> bytes:
        return self._encoder.error(error)

    def _end(self) -> bytes:
        return self._encode(self._translator.finish())

    def _pass(self, block: bytes) -> bytes:
        out = b""
        for event in sse.events(block):
            data = sse.said(event)
            if not data:
                continue
            try:
                out += self._encode(self._translator.feed(sse.name_of(event), data))
                if self._translator.ended:
                    self.done = True
                    return out + self._end()
            except StreamCut as cut:  # what stands before it in the same block still counts
                self._trouble = cut
                return out
        return out

    def _encode(self, chunks: list[Json]) -> bytes:
        out = b""
        for chunk in chunks:
            if self._note is not None:
                self._note(chunk)
            if self._model:
                chunk["model"] = self._model
            self._keep(sse.encode(orjson.dumps(chunk)))
            out += self._encoder.feed(chunk)
        return out
