"""Gathers the body of a request that did not arrive with its head: in memory, once, and never beyond the limit."""

from io import BytesIO

from twisted.web.http import _ChunkedTransferDecoder, _MalformedChunkedDataError

from qlite_site.server import refusals


class CountedBody:
    """A body of known length. BytesIO grows in place and hands its buffer over, so that the body is held once."""

    def __init__(self, length: int) -> None:
        self._missing = length
        self._content = BytesIO()

    def feed(self, data: bytes) -> bytes | None:
        """Take what arrived. Return None while more is needed, else what followed the body."""
        missing = self._missing
        if len(data) < missing:
            self._missing = missing - len(data)
            self._content.write(data)
            return None
        self._missing = 0
        self._content.write(memoryview(data)[:missing])
        return data[missing:]

    def content(self) -> bytes:
        return self._content.getvalue()


class ChunkedBody:
    """A chunked body, read with Twisted's decoder (private there, hence the pinned version)."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._content = BytesIO()
        self._rest: bytes | None = None
        self._decoder = _ChunkedTransferDecoder(self._chunk, self._end)

    def feed(self, data: bytes) -> bytes | None:
        """Take what arrived. Return None while more is needed, else what followed the body.

        Raises Refused where the framing is wrong or the limit passed.
        """
        try:
            self._decoder.dataReceived(data)
        except _MalformedChunkedDataError:
            raise refusals.bad_request("The chunked body is malformed.") from None
        if self._decoder.state == "BODY":  # `length` of this chunk is still to come
            self._room_for(self._decoder.length)
        return self._rest

    def content(self) -> bytes:
        return self._content.getvalue()

    def _room_for(self, more: int) -> None:
        if self._content.tell() + more > self._limit:
            raise refusals.request_too_large(self._limit)

    def _chunk(self, data: bytes) -> None:
        self._room_for(len(data))
        self._content.write(data)

    def _end(self, rest: bytes) -> None:
        self._rest = rest
