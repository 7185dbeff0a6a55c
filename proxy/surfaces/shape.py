"""In whose words an error is told where no view has said so: it follows from the URL that was called."""

import re

import orjson

from proxy.dialects.base import Dialect
from proxy.dialects.gemini import GeminiCaller
from proxy.dialects.messages import Messages
from proxy.errors import GatewayError
from proxy.providers.gemini.address import METHODS, STREAM

GEMINI, ANTHROPIC = GeminiCaller(), Messages()
# Under /v1/models three dialects meet: only what is asked of a model in its URL gives Gemini's callers away.
_METHODS = "|".join((*METHODS.values(), STREAM.partition("?")[0]))
_GEMINI = re.compile(rf"/(?:v1beta|gemini)(?:/|$)|/v1/models/.+:(?:{_METHODS})$")
_ANTHROPIC = re.compile(r"/(?:v1/messages|anthropic)(?:/|$)")


def dialect_at(path: str) -> Dialect | None:
    """Return the dialect of the surface at `path`, None for OpenAI's shape."""
    if _GEMINI.match(path):
        return GEMINI
    return ANTHROPIC if _ANTHROPIC.match(path) else None


def error_body(error: GatewayError, path: str, request_id: str, dialect: Dialect | None = None) -> bytes:
    """Return the body of `error`, in `dialect` or that of the surface at `path`."""
    dialect = dialect or dialect_at(path)
    return orjson.dumps(error.body() if dialect is None else dialect.error(error, request_id))
