"""What the routing table wants to know of a request: tools, images, a schema, its size, its session. Any dialect.

What it asks for is noted on each call's record, so that a replay of the past knows it; the rest is only read where a
route asks, and the session's mark noted then.
"""

from typing import Any

from proxy.call import Call
from routing.decide import Request, marked
from routing.rules import STICKY_USER
from routing.values import Route

TOOLS, IMAGES, JSON_SCHEMA = 1, 2, 4  # as they stand on records, together
BYTES_A_TOKEN = 4  # a rough mean over English, code and JSON
DEEPEST = 6  # levels below a message at which an image can stand
# What a part with an image is called: OpenAI's chat, its Responses, Anthropic's messages; Gemini's has no type.
IMAGE_TYPES = ("image_url", "input_image", "image")  # tuples, since a type may be anything, also what has no hash
TEXT_TYPES = ("text", "input_text", "output_text")
INLINE = ("inlineData", "inline_data", "fileData", "file_data")
SESSION_LENGTH = 256  # characters of a session's name that count


def of(call: Call) -> Request:
    """Return what is known of `call` for the decision where it goes."""
    asked, session = call.asked, marked(session_of(call, call.match.route))
    if session:
        call.entry.session = int(session)
    return Request(
        model=asked.model,
        team=call.grant.team,
        stream=asked.stream,
        **named(call.entry.features),
        tokens=call.entry.prompt_bytes // BYTES_A_TOKEN,
        tags=call.entry.tags,
        session=session,
    )


def noted(body: dict[str, Any]) -> int:
    """Return what a body asks for as one number: TOOLS, IMAGES, JSON_SCHEMA, added up."""
    found = TOOLS if body.get("tools") or body.get("functions") else 0
    if _any_image(body.get("messages") or body.get("input") or body.get("contents")):
        found += IMAGES
    return found + JSON_SCHEMA if _has_schema(body) else found


def named(features: int) -> dict[str, bool]:
    """Return what `noted` said by its names."""
    return {
        "tools": bool(features & TOOLS),
        "images": bool(features & IMAGES),
        "json_schema": bool(features & JSON_SCHEMA),
    }


def session_of(call: Call, route: Route) -> str:
    """Return what the route keeps together: the value of a header, or the user that the body names; "" for neither."""
    if not route.sticky:
        return ""
    if route.sticky == STICKY_USER:
        body = call.asked.body
        metadata = body.get("metadata")
        found = body.get("user") or (metadata.get("user_id") if isinstance(metadata, dict) else None)
        return found[:SESSION_LENGTH] if isinstance(found, str) else ""
    return call.headers.get(route.sticky.lower().encode(), b"").decode("latin-1")[:SESSION_LENGTH]


def _has_schema(body: dict[str, Any]) -> bool:
    """OpenAI's chat and Responses, Anthropic's output format, Gemini's generation config."""
    for outer, inner in (("response_format", None), ("text", "format"), ("output_config", "format")):
        said = body.get(outer)
        said = said.get(inner) if inner and isinstance(said, dict) else said
        if isinstance(said, dict) and said.get("type") == "json_schema":
            return True
    config = body.get("generationConfig") or body.get("generation_config")
    if not isinstance(config, dict):
        return False
    return any(config.get(name) for name in ("responseSchema", "responseJsonSchema", "response_schema"))


def _any_image(messages: Any) -> bool:
    """Each call is asked this: what is plain text is passed over at once."""
    if type(messages) is not list:
        return _has_image(messages, DEEPEST)
    doubtful = (each for each in messages if type(each) is not dict or type(each.get("content")) is not str)
    return any(_has_image(each, DEEPEST - 1) for each in doubtful)


def _has_image(value: Any, depth: int) -> bool:
    if isinstance(value, list):
        return depth > 0 and any(_has_image(each, depth - 1) for each in value)
    if not isinstance(value, dict):
        return False
    kind = value.get("type")
    if kind in TEXT_TYPES:
        return False
    if kind in IMAGE_TYPES or any(_is_image(value[name]) for name in INLINE if name in value):
        return True
    return depth > 0 and any(_has_image(value.get(name), depth - 1) for name in ("content", "parts"))


def _is_image(data: Any) -> bool:
    kind = data.get("mimeType") or data.get("mime_type") if isinstance(data, dict) else None
    return isinstance(kind, str) and kind.startswith("image/")
