"""Content: OpenAI's parts as Anthropic's blocks. Pictures and documents travel as they came; nothing is fetched."""

import base64
import binascii
from typing import Any
from urllib.parse import unquote_to_bytes

from proxy.body import Json
from proxy.errors import BadRequest
from proxy.providers.anthropic import shape
from proxy.providers.anthropic.draft import Draft
from proxy.providers.draft import FILE, PART, PICTURE

PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
PDF = "application/pdf"
NAMED = {"pdf": PDF, "txt": "text/plain", "md": "text/markdown", "csv": "text/csv"}


def text_block(text: str) -> Json:
    return {"type": "text", "text": text}


def texts(content: Any, param: str, draft: Draft) -> list[Json]:
    """Return content that may hold text only: that of system and assistant messages. Blank text is left out."""
    return _blocks(content, param, draft, _text_only)


def anything(content: Any, param: str, draft: Draft) -> list[Json]:
    """Return the content of a user's message or of a tool's result. Blank text is left out: the API refuses it."""
    return _blocks(content, param, draft, _any_part)


def _blocks(content: Any, param: str, draft: Draft, translate: Any) -> list[Json]:
    if content is None:
        return []
    if type(content) is str:
        return [text_block(content)] if content.strip() else []
    blocks = []
    for place, each in enumerate(shape.array(content, param)):
        name = f"{param}[{place}]"
        part = shape.an_object(each, name)
        block = translate(part, name, draft)
        draft.note_unknown(part, PART, "messages.content")
        if block is not None:
            blocks.append(marked(block, part, name))
    return blocks


def marked(block: Json, source: Json, param: str) -> Json:
    """Return `block` with the cache mark that `source` has, in Anthropic's words or in OpenAI's."""
    mark = source.get("cache_control")
    if mark is not None:
        block["cache_control"] = cache_control(mark, f"{param}.cache_control")
    elif source.get("prompt_cache_breakpoint"):
        block["cache_control"] = {"type": "ephemeral"}
    return block


def cache_control(mark: Any, param: str) -> Json:
    mark = shape.an_object(mark, param)
    if mark.get("type") != "ephemeral" or mark.get("ttl") not in (None, "5m", "1h"):
        raise BadRequest(f"'{param}' must be of type 'ephemeral', with a ttl of '5m' or '1h'.", param=param)
    return {name: mark[name] for name in ("type", "ttl") if mark.get(name)}


def _text_only(part: Json, param: str, draft: Draft) -> Json | None:
    kind = part.get("type")
    if kind not in ("text", "refusal"):  # a tuple, since it may be anything, also what has no hash
        raise draft.refuse(f"{param}.type", f"only text can stand here, not {_shown(kind)}.")
    text = shape.text(part.get(kind), f"{param}.{kind}")
    return text_block(text) if text.strip() else None


def _any_part(part: Json, param: str, draft: Draft) -> Json | None:
    kind = part.get("type")
    if kind == "image_url":
        return _picture(part.get("image_url"), f"{param}.image_url", draft)
    if kind == "file":
        return _file(shape.an_object(part.get("file"), f"{param}.file"), f"{param}.file", draft)
    if kind == "text":
        return _text_only(part, param, draft)
    raise draft.refuse(f"{param}.type", f"content of type {_shown(kind)} cannot be sent.")


def _shown(kind: Any) -> str:
    return repr(kind[:64]) if isinstance(kind, str) else "unknown"


def _picture(value: Any, param: str, draft: Draft) -> Json:
    if type(value) is str:  # what many clients send, and OpenAI takes it
        url, name = value, param
    else:
        picture, name = shape.an_object(value, param), f"{param}.url"
        url = shape.text(picture.get("url"), name)
        draft.note_unknown(picture, PICTURE, "messages.content.image_url")
        if picture.get("detail") not in (None, "auto"):
            draft.ignore("messages.content.image_url.detail")
    if url[:8].lower().startswith(("https://", "http://")):
        return {"type": "image", "source": {"type": "url", "url": url}}
    media, data = _base64(url, name, draft)
    media = "image/jpeg" if media == "image/jpg" else media
    if media not in PICTURES:
        raise draft.refuse(name, f"pictures must be JPEG, PNG, GIF or WebP, not {media[:64]!r}.")
    return {"type": "image", "source": {"type": "base64", "media_type": media, "data": data}}


def _file(file: Json, param: str, draft: Draft) -> Json:
    if file.get("file_data") is None:
        raise draft.refuse(f"{param}.file_id", "files kept at OpenAI are not known there; send 'file_data'.")
    draft.note_unknown(file, FILE, "messages.content.file")
    name, title = f"{param}.file_data", file.get("filename")
    given = shape.text(file["file_data"], name)
    if given[:8].lower() == "https://":
        return _titled({"type": "url", "url": given}, title, param)
    media, data = _base64(given if given[:5].lower() == "data:" else _typed(given, title), name, draft)
    if media in PICTURES:
        return {"type": "image", "source": {"type": "base64", "media_type": media, "data": data}}
    if media == PDF:
        source = {"type": "base64", "media_type": PDF, "data": data}
    elif media.startswith("text/"):
        source = {"type": "text", "media_type": "text/plain", "data": _decoded(data, name)}
    else:
        raise draft.refuse(name, f"files must be PDF, text or pictures, not {media[:64]!r}.")
    return _titled(source, title, param)


def _titled(source: Json, title: Any, param: str) -> Json:
    block = {"type": "document", "source": source}
    return block | {"title": shape.text(title, f"{param}.filename")} if title else block


def _typed(data: str, name: Any) -> str:
    """Return bare base64 as a data URL, where the file's name says what it is."""
    media = NAMED.get(name.rpartition(".")[2].lower()) if isinstance(name, str) else None
    return data if media is None else f"data:{media};base64,{data}"


def _base64(url: str, param: str, draft: Draft) -> tuple[str, str]:
    """Return the media type and the base64 text of a data URL. Parameters such as a charset are left out."""
    head, comma, data = url.partition(",")
    if not comma or head[:5].lower() != "data:":
        raise draft.refuse(param, "this must be a data: URL, or for pictures an https: URL.")
    media, *parameters = head[5:].lower().split(";")
    if "base64" not in (each.strip() for each in parameters):
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return media.strip() or "text/plain", data


def _decoded(data: str, param: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        raise BadRequest(f"'{param}' is not text in UTF-8, encoded in base64.", param=param) from None
