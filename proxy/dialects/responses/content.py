"""The content of a Responses item, a string or parts, as the content of a chat message."""

from typing import Any

from proxy.dialects import checks
from proxy.errors import BadRequest

Json = dict[str, Any]
DETAILS = ("auto", "low", "high")  # of an image; "original" exists in the Responses API only


def content_of(item: Json, name: str, path: str) -> str | list[Json]:
    """Return the content under `name`: a string where it is nothing but one text. Raises BadRequest."""
    content = item.get(name)
    if type(content) is str:
        return content
    if type(content) is not list:
        raise checks.missing(path + name) if content is None else checks.wrong_type(path + name, "a string or an array")
    parts = checks.objects(item, name, path=path)
    return simplified([part_of(part, f"{path}{name}[{place}].") for place, part in enumerate(parts)])


def simplified(parts: list[Json]) -> str | list[Json]:
    """Return parts as a string if that says the same: servers that are merely compatible often know strings only."""
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0].keys() == {"type", "text"} else parts


def odd_details(content: Any) -> list[int]:
    """Return the places of parts whose `detail` chat has no word for, so that it is left out."""
    parts = list(enumerate(content)) if isinstance(content, list) else []
    known = {"input_image": DETAILS, "input_file": ()}
    return [
        place
        for place, part in parts
        if isinstance(part, dict) and part.get("detail") and part["detail"] not in known.get(str(part.get("type")), ())
    ]


def part_of(part: Json, path: str) -> Json:
    """Return one part of a chat message."""
    kind = checks.required(part, "type", str, path=path)
    make = _MAKERS.get(kind)
    if make is None:
        raise BadRequest(f"'{path}type' must be one of {', '.join(_MAKERS)}.", param=f"{path}type")
    made = make(part, path)
    if part.get("prompt_cache_breakpoint") is not None:
        made["prompt_cache_breakpoint"] = part["prompt_cache_breakpoint"]
    return made


def _text(part: Json, path: str) -> Json:
    return {"type": "text", "text": checks.required(part, "text", str, path=path)}


def _refusal(part: Json, path: str) -> Json:
    return {"type": "refusal", "refusal": checks.required(part, "refusal", str, path=path)}


def _image(part: Json, path: str) -> Json:
    if part.get("file_id") is not None:
        raise checks.unsupported(f"{path}file_id", f"'{path}file_id' names a stored file. Send 'image_url' instead.")
    image: Json = {"url": checks.required(part, "image_url", str, path=path)}
    detail = checks.optional(part, "detail", str, path=path)
    if detail in DETAILS:
        image["detail"] = detail
    return {"type": "image_url", "image_url": image}


def _file(part: Json, path: str) -> Json:
    names = ("file_data", "file_id", "filename")
    file = {name: value for name in names if (value := checks.optional(part, name, str, path=path)) is not None}
    if url := checks.optional(part, "file_url", str, path=path):
        if url[:8].lower() != "https://":
            raise checks.unsupported(f"{path}file_url", f"'{path}file_url' must be an https: URL.")
        file["file_data"] = url  # some providers fetch it, see ways; we never do
    if "file_data" not in file and "file_id" not in file:
        raise checks.missing(f"{path}file_data")
    return {"type": "file", "file": file}


def _audio(part: Json, path: str) -> Json:
    return {"type": "input_audio", "input_audio": checks.required(part, "input_audio", dict, path=path)}


_MAKERS = {
    "input_text": _text,
    "output_text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}
