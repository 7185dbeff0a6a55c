"""Pictures, sound and files of a message as Gemini's parts: bytes inline, public addresses for Google to fetch."""

import re
from collections.abc import Callable

from proxy.body import Json
from proxy.dialects import checks
from proxy.errors import BadRequest
from proxy.providers.gemini.draft import Draft

_DATA = re.compile(r"data:([^,;]*)((?:;[^,;]*)*);base64,", re.IGNORECASE)
_EXTENSION = re.compile(r"\.([A-Za-z0-9]{2,4})(?:[?#]|$)")
_FILES_API = re.compile(r"https://[a-z0-9.-]*generativelanguage[a-z0-9.-]*\.googleapis\.com/")

# Source: Gemini API documents on images, audio, video and documents.
TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "bmp": "image/bmp",
    "avif": "image/avif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "csv": "text/csv",
    "json": "application/json",
    "xml": "text/xml",
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "ogg": "audio/ogg",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mpeg": "video/mpeg",
    "avi": "video/avi",
}
ADDRESS, SOUND = frozenset({"url", "detail"}), frozenset({"data", "format"})
FILE = frozenset({"file_id", "file_data", "filename"})
SOUNDS = frozenset({"wav", "mp3", "aiff", "aac", "ogg", "flac", "opus", "m4a", "webm"})


def part(draft: Draft, item: Json, path: str) -> Json:
    """Return one part for one that is not text. Raises BadRequest for what Gemini does not take."""
    kind = item.get("type")
    make = _MAKERS.get(kind) if type(kind) is str else None
    if make is None:
        raise draft.refuse(f"{path}.type", f"a part of the type {str(kind)[:64]!r} cannot be sent.")
    return make(draft, item, path)


def _address(draft: Draft, item: Json, path: str) -> Json:
    """An `image_url`, or a `video_url` as some servers call it."""
    kind = str(item["type"])
    holder = item.get(kind)
    if type(holder) is str:  # not OpenAI's form, but a frequent one
        return _of_url(draft, holder, f"{path}.{kind}")
    inner = checks.required(item, kind, dict, path=f"{path}.")
    draft.note_unknown(inner, ADDRESS, f"messages.content.{kind}")
    if inner.get("detail") not in (None, "auto"):
        draft.ignore(f"messages.content.{kind}.detail")
    return _of_url(draft, checks.required(inner, "url", str, path=f"{path}.{kind}."), f"{path}.{kind}.url")


def _sound(draft: Draft, item: Json, path: str) -> Json:
    where = f"{path}.input_audio."
    sound = checks.required(item, "input_audio", dict, path=f"{path}.")
    draft.note_unknown(sound, SOUND, "messages.content.input_audio")
    form = checks.required(sound, "format", str, path=where)
    if form not in SOUNDS and form != "pcm16":
        raise draft.refuse(f"{where}format", f"audio of the format {form[:64]!r} cannot be sent.")
    return _inline("audio/pcm" if form == "pcm16" else f"audio/{form}", checks.required(sound, "data", str, path=where))


def _file(draft: Draft, item: Json, path: str) -> Json:
    where = f"{path}.file."
    file = checks.required(item, "file", dict, path=f"{path}.")
    draft.note_unknown(file, FILE, "messages.content.file")
    if file.get("file_id") is not None:
        raise draft.refuse(f"{where}file_id", "files kept at OpenAI cannot be sent; send their bytes as file_data.")
    data, name = checks.required(file, "file_data", str, path=where), checks.optional(file, "filename", str, path=where)
    if data[:5].lower() == "data:" or data[:8].lower() == "https://":
        return _of_url(draft, data, f"{where}file_data")
    media = _type_of(name or "")
    if media is None:
        raise BadRequest(
            f"'{where}file_data' must be a data: address, or 'filename' must say what it is.", param=f"{where}file_data"
        )
    return _inline(media, data)


_MAKERS: dict[str, Callable[[Draft, Json, str], Json]] = {
    "image_url": _address,
    "video_url": _address,
    "input_audio": _sound,
    "file": _file,
}


def _of_url(draft: Draft, url: str, param: str) -> Json:
    if url[:5].lower() == "data:":
        head = _DATA.match(url)
        media = head[1].lower() if head else ""
        if head is None or "/" not in media:
            raise BadRequest(f"'{param}' must be data:<type>;base64,<bytes> or an https: address.", param=param)
        return _inline("image/jpeg" if media == "image/jpg" else media, url[head.end() :])
    if url[:8].lower() != "https://" and url[:5] != "gs://":
        raise draft.refuse(param, "only data: and https: addresses can be sent.")
    if not draft.can.fetches_urls and not _FILES_API.match(url):
        raise draft.refuse(param, "this model does not fetch public addresses; send the bytes as a data: address.")
    media_type = _type_of(url)
    return {"fileData": {"fileUri": url} | ({"mimeType": media_type} if media_type else {})}


def _type_of(name: str) -> str | None:
    """Return the type that a name or an address ends in, None where it says none."""
    path = name.partition("?")[0].partition("#")[0].rpartition("/")[2]
    found = _EXTENSION.search(path)
    return TYPES.get(found[1].lower()) if found else None


def _inline(media: str, data: str) -> Json:
    return {"inlineData": {"mimeType": media, "data": data}}
