"""Embeddings as a caller's dialect: native at targets that speak OpenAI's, translated for Gemini's.

Source: OpenAI API reference, embeddings. OpenAI's SDKs ask for base64 unless told otherwise.
"""

from collections.abc import Mapping
from typing import Any

from accounts.prices import Usage
from proxy import body as bodies
from proxy.chat import refuse_forbidden
from proxy.dialects import checks
from proxy.dialects.base import Asked, Dialect, Json
from proxy.dialects.openai_chat import ChatEncoder, ChatWatcher, reported_usage
from proxy.errors import BadRequest, GatewayError

CANNOT = "This model is served where there are no embeddings."


class Embeddings(Dialect):
    name = "embeddings"

    def parse(self, raw: bytes, *, model: str = "", stream: bool = False) -> Asked:
        body = bodies.parse(raw)
        refuse_forbidden(body)
        asked = Asked(raw, body, checks.model_of(body, model), stream=False, operation="embeddings")
        _check_input(body)
        checks.one_of(body, "encoding_format", ("float", "base64"))
        checks.whole(body, "dimensions", 1)
        checks.optional(body, "user", str)
        if body.get("stream"):
            raise checks.unsupported("stream", "'stream' is no parameter of embeddings.")
        return asked

    def chat(self, asked: Asked) -> Json:
        raise checks.unsupported("model", CANNOT)

    def reply(self, completion: Json, asked: Asked) -> Json:
        raise checks.unsupported("model", CANNOT)

    def encoder(self, asked: Asked) -> ChatEncoder:
        return ChatEncoder(wants_usage=False)

    def error(self, error: GatewayError, request_id: str) -> Json:
        return error.body()

    def usage(self, body: Mapping[str, Any]) -> Usage | None:
        return reported_usage(body)

    def watcher(self) -> ChatWatcher:
        return ChatWatcher()


def _check_input(body: Json) -> None:
    """Refuse what is no input: a text, texts, tokens, or lists of tokens, none of them empty."""
    given = body.get("input")
    if given is None:
        raise checks.missing("input")
    if type(given) is not str and type(given) is not list:
        raise checks.wrong_type("input", "a string or an array")
    if not given:
        raise BadRequest("'input' must not be empty.", param="input")
    if type(given) is str:
        return
    kinds = {type(each) for each in given}
    if kinds not in ({str}, {int}, {list}):
        raise checks.wrong_type("input", "an array of strings, of tokens, or of arrays of tokens")
    for place, each in enumerate(given):
        if each == "" or each == []:
            raise BadRequest(f"'input[{place}]' must not be empty.", param=f"input[{place}]")
        if type(each) is list and any(type(token) is not int for token in each):
            raise checks.wrong_type(f"input[{place}]", "an array of tokens")
