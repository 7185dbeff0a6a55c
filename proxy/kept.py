"""A request on a connection that is there already: aiohttp's pool, parser and streams, without what it makes for each.

Its session makes a request, a writer, a task and an answer for every call, which is a fifth of what a call costs here.
A connection from the pool needs none of them; whoever has to connect first still goes through the session.

Relies on these internals of aiohttp (pinned): `BaseConnector._get`, `ResponseHandler.set_response_params`, `read` and
`start_timeout`, `http_writer._serialize_headers`, which refuses line breaks.
"""

import asyncio
from functools import lru_cache
from typing import Any

import aiohttp
from aiohttp.client_reqrep import ClientRequest, ConnectionKey
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_writer import _serialize_headers
from aiohttp.streams import StreamReader
from multidict import CIMultiDict
from yarl import URL

# A larger body may have to wait for its reader, and the time until the answer counts from its end.
SMALL_BYTES = 32 * 1024


class Answer:
    """An answer whose head is here. Of aiohttp's ClientResponse that which `transport` asks for."""

    __slots__ = ("connection", "content", "raw_headers", "status")

    def __init__(self, connection: Connection, message: Any, content: StreamReader) -> None:
        self.status: int = message.code
        self.raw_headers: tuple[tuple[bytes, bytes], ...] = message.raw_headers
        self.content = content
        self.connection: Connection | None = connection
        content.on_eof(self.release)

    def release(self) -> None:
        """Give the connection back; it is closed if the answer has not ended, or not all of the request has left."""
        connection, self.connection = self.connection, None
        if connection is None:
            return
        transport = connection.transport
        if transport is not None and transport.get_write_buffer_size():
            connection.close()
        else:
            connection.release()

    def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()


@lru_cache(maxsize=4096)
def key_of(url: URL) -> ConnectionKey:
    """Return the name that the pool has for connections to `url`. Needs a running loop."""
    return ClientRequest("POST", url, loop=asyncio.get_running_loop()).connection_key


async def post(
    connection: Connection,
    url: URL,
    pairs: tuple[tuple[str, str], ...],
    body: bytes,
    *,
    read_timeout: float | None,
    read_bytes: int,
) -> Answer:
    """Send a POST and return its answer once the head is here; closes the connection if there is none.

    Raises aiohttp.ClientError or OSError, ValueError for a header with a line break in it.
    """
    try:
        protocol: Any = connection.protocol
        protocol.set_response_params(
            read_until_eof=True, auto_decompress=False, read_timeout=read_timeout, read_bufsize=read_bytes
        )
        headers = CIMultiDict(pairs)
        headers["Host"] = url.host_port_subcomponent or ""
        headers["Content-Length"] = str(len(body))
        protocol.transport.write(_serialize_headers(f"POST {url.raw_path_qs} HTTP/1.1", headers) + body)
        protocol.start_timeout()
        while True:
            message, content = await protocol.read()
            if message.code >= 200 or message.code == 101:
                return Answer(connection, message, content)
    except HttpProcessingError as error:
        connection.close()
        raise aiohttp.ClientError(error.message) from error
    except BaseException:
        connection.close()
        raise
