"""Parts of a user's content as OpenAI's: text, pictures, sound, files."""

from proxy.dialects import checks
from proxy.dialects.base import Json
from proxy.dialects.gemini.spelling import cannot, inner
from proxy.providers.gemini.media import TYPES

SOUNDS = {
    **dict.fromkeys(("audio/wav", "audio/x-wav", "audio/wave"), "wav"),
    **dict.fromkeys(("audio/mp3", "audio/mpeg"), "mp3"),
}
PDF = "application/pdf"
ENDINGS = {kind: ending for ending, kind in TYPES.items()}  # what the name of a file tells of it
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".heic", ".heif")
# What stands beside a part and only says how to look at it.
HINTS = ("mediaResolution", "videoMetadata", "mediaProcessing", "partMetadata", "documentMetadata", "audioMetadata")
_STANDARD = str.maketrans("-_", "+/")


def part(item: Json, path: str) -> Json:
    """Return one part. Raises BadRequest for one that only Gemini understands."""
    if item.get("text") is not None:
        return {"type": "text", "text": checks.required(item, "text", str, path=path)}
    if item.get("inlineData") is not None:
        return _inline(inner(item, "inlineData", path=path), f"{path}inlineData.")
    if item.get("fileData") is not None:
        return _by_address(inner(item, "fileData", path=path), f"{path}fileData.")
    kind = next((name for name, value in item.items() if value is not None and name not in HINTS), "")
    raise cannot(f"{path}{kind}" if kind else path[:-1], "this part cannot be sent to this model.")


def _inline(blob: Json, path: str) -> Json:
    media = checks.required(blob, "mimeType", str, path=path).lower()
    data = checks.required(blob, "data", str, path=path)
    if "-" in data or "_" in data:  # Google takes both alphabets of base64, others the standard one
        data = data.translate(_STANDARD)
    if media.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": f"data:{media};base64,{data}"}}
    if media in SOUNDS:
        return {"type": "input_audio", "input_audio": {"data": data, "format": SOUNDS[media]}}
    if media.startswith(("audio/", "video/")):
        raise cannot(f"{path}mimeType", f"{media[:64]} cannot be sent to this model.")
    ending = ENDINGS.get(media) or media.rpartition("/")[2][:16]
    name = checks.optional(blob, "displayName", str, path=path) or f"file.{ending}"
    return {"type": "file", "file": {"filename": name, "file_data": f"data:{media};base64,{data}"}}


def _by_address(file: Json, path: str) -> Json:
    uri = checks.required(file, "fileUri", str, path=path)
    media = checks.optional(file, "mimeType", str, path=path) or ""
    bare = uri.partition("?")[0].partition("#")[0].lower()
    picture = media.lower().startswith("image/") or (not media and bare.endswith(PICTURES))
    document = media.lower() == PDF or (not media and bare.endswith(".pdf"))
    if not uri.lower().startswith("https://") or not (picture or document) or "generativelanguage" in bare:
        why = "only pictures and PDFs with a public https: address can be sent to this model."
        raise cannot(f"{path}fileUri", why)
    if picture:
        return {"type": "image_url", "image_url": {"url": uri}}
    name = checks.optional(file, "displayName", str, path=path) or "file.pdf"
    return {"type": "file", "file": {"filename": name, "file_data": uri}}
