"""The older minimal API, POST /proxy and /proxy/stream: messages in, OpenAI's chat answer out.

The URL says whether it streams, so `stream` in the body may only agree. Everything else is chat.
"""

from proxy import body as bodies
from proxy.chat import refuse_forbidden
from proxy.dialects import checks
from proxy.dialects.base import Asked, Json
from proxy.dialects.openai_chat import OpenAIChat
from proxy.errors import BadRequest

ROLES = ("system", "user", "assistant")


class Minimal(OpenAIChat):
    name = "minimal"

    def parse(self, raw: bytes, *, model: str = "", stream: bool = False) -> Asked:
        """Return the request in `raw`. `model` is what is asked where the body names none."""
        body = bodies.parse(raw)
        refuse_forbidden(body)
        asked = Asked(raw, body, checks.model_of(body, model), checks.streams(body | {"stream": stream}))
        if checks.optional(body, "stream", bool) not in {None, stream}:
            raise BadRequest("'stream' is said by the URL: POST to /proxy or to /proxy/stream.", param="stream")
        _check_messages(body)
        checks.number(body, "temperature", 0, 2)
        checks.whole(body, "max_tokens", 1)
        return asked

    def chat(self, asked: Asked) -> Json:
        return asked.body | {"model": asked.model} | ({"stream": True} if asked.stream else {})


def _check_messages(body: Json) -> None:
    checks.required(body, "messages", list)
    messages = checks.objects(body, "messages")
    if not messages:
        raise BadRequest("'messages' must not be empty.", param="messages")
    for place, message in enumerate(messages):
        path = f"messages[{place}]."
        if checks.one_of(message, "role", ROLES, path=path) is None:
            raise checks.missing(f"{path}role")
        if not checks.required(message, "content", str, path=path).strip():
            raise BadRequest(f"'{path}content' must not be empty.", param=f"{path}content")
    if messages[-1]["role"] == "assistant":
        raise BadRequest("The last of 'messages' must not be the assistant's.", param="messages")
