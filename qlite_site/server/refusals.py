"""The requests that the server refuses by itself, each with the status and the sentence its sender will read.

* Refused
  x bad_request              400  what came is not HTTP/1.1 as we understand it
  x method_not_allowed       405
  x request_too_large        413
  x headers_too_large        431
  x internal_error           500
  x overloaded               503
  x server_shutting_down     503
"""

import logging

from qlite_site.server.config import Answer, Headers, ServerConfig

logger = logging.getLogger("qlite.server")


class Refused(Exception):
    """An answer that the server gives instead of the app."""

    def __init__(self, status: int, code: str, message: str, headers: Headers | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or []

    def answer(self, config: ServerConfig, path: bytes, given: Headers) -> Answer:
        """Return the response to a request for `path` with the headers `given`.

        Where the app's own words cannot be had, it goes without a body.
        """
        headers: Headers = [(b"content-type", b"application/json"), *self.headers]
        try:
            body = config.error_body(self.status, self.code, self.message, path)
            headers += [pair for pair in config.error_headers(given) if pair[0] != b"content-type"]
        except Exception:
            logger.exception("no words for the error %s", self.code)
            body = b""
        return self.status, headers, body


def bad_request(message: str) -> Refused:
    return Refused(400, "bad_request", message)


def method_not_allowed(allowed: bytes) -> Refused:
    return Refused(405, "method_not_allowed", "This method is not supported.", [(b"allow", allowed)])


def request_too_large(limit: int) -> Refused:
    return Refused(413, "request_too_large", f"The request body is larger than the limit of {limit} bytes.")


def headers_too_large(limit: int) -> Refused:
    return Refused(431, "headers_too_large", f"The request line and headers are larger than {limit} bytes.")


def internal_error() -> Refused:
    return Refused(500, "internal_error", "The server failed to answer this request.")


def overloaded() -> Refused:
    return Refused(503, "overloaded", "The server has too many open connections.", [(b"retry-after", b"1")])


def shutting_down() -> Refused:
    return Refused(503, "server_shutting_down", "The server is shutting down.", [(b"retry-after", b"1")])
