"""A request body: parsed strictly, edited by splicing bytes, so that what we do not understand travels untouched."""

import json
import re
from functools import lru_cache
from typing import Any

import orjson

from proxy.errors import BadRequest

Json = dict[str, Any]

DEPTH_LIMIT = 64
_SPACED = re.compile(rb'"[ \t\r\n]+:')
_KEY_END = re.compile(rb'(?<!\\)(?:\\\\)*"[ \t\r\n]*:')
_ESCAPED_LETTER = re.compile(rb"\\u00[5-7]")


def parse(raw: bytes) -> Json:
    """Return the JSON object in `raw`.

    Raises BadRequest (code invalid_json, invalid_type, json_too_deep, invalid_number, invalid_unicode or
    duplicate_key), as listed in docs/api.md.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _diagnosis(raw, error) from None
    if not isinstance(body, dict):
        raise BadRequest("The request body must be a JSON object.", code="invalid_type")
    keys = _count_keys(body, 1)
    # An unescaped quote before a colon ends a key, so fewer keys in the result than in the text means one came twice.
    if _key_ends(raw, keys) != keys:
        _refuse_duplicates(raw)
    return body


def _key_ends(raw: bytes, expected: int) -> int:
    """Return how many keys `raw` holds, or more where a string begins with a colon."""
    escaped = raw.count(b'\\":')
    quick = raw.count(b'":') - escaped
    # Behind two backslashes the quote is not escaped after all.
    if quick == expected and not (escaped and b'\\\\":' in raw) and not _SPACED.search(raw):
        return quick
    return len(_KEY_END.findall(raw))


def _count_keys(value: Any, depth: int) -> int:
    """Return how many keys all objects in `value` have together; refuse what is nested deeper than DEPTH_LIMIT."""
    if depth > DEPTH_LIMIT:
        raise BadRequest(f"The request body is nested deeper than {DEPTH_LIMIT} levels.", code="json_too_deep")
    count = 0
    if type(value) is dict:
        count = len(value)
        value = value.values()
    for item in value:
        if type(item) is dict or type(item) is list:
            count += _count_keys(item, depth + 1)
    return count


def _refuse_duplicates(raw: bytes) -> None:
    def unique(pairs: list[tuple[str, Any]]) -> Json:
        seen: Json = {}
        for key, value in pairs:
            if key in seen:
                raise BadRequest(f"The key {key[:64]!r} appears twice.", code="duplicate_key", param=key[:64])
            seen[key] = value
        return seen

    json.loads(raw, object_pairs_hook=unique)


def _diagnosis(raw: bytes, error: orjson.JSONDecodeError) -> BadRequest:
    """Say what is wrong with `raw`, which orjson would not take."""

    def refuse_constant(name: str) -> Any:
        raise BadRequest(f"{name} is not a JSON number.", code="invalid_number")

    def refuse_long(digits: str) -> int:
        raise BadRequest("A number has too many digits.", code="invalid_number")

    if _nesting(raw) > DEPTH_LIMIT:
        return BadRequest(f"The request body is nested deeper than {DEPTH_LIMIT} levels.", code="json_too_deep")
    try:
        json.loads(
            raw.decode("utf-8"), parse_constant=refuse_constant, parse_int=lambda d: len(d) < 400 or refuse_long(d)
        )
    except BadRequest as known:
        return known
    except UnicodeDecodeError:
        return BadRequest("The request body is not UTF-8.", code="invalid_json")
    except ValueError:
        return BadRequest(f"The request body is not valid JSON: {error.msg}.", code="invalid_json")
    # The lenient parser took it: what is left are halves of surrogate pairs and numbers out of range.
    if "surrogate" in error.msg:
        return BadRequest("The request body holds half of a surrogate pair.", code="invalid_unicode")
    return BadRequest("A number is out of range.", code="invalid_number")


def _nesting(raw: bytes) -> int:
    """Return how deep brackets are nested in `raw`, strings left out; stops counting past the limit."""
    depth = deepest = 0
    for token in re.finditer(rb'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', raw):
        first = token.group()[:1]
        if first in b"[{":
            depth += 1
            deepest = max(deepest, depth)
            if deepest > DEPTH_LIMIT:
                break
        elif first in b"]}":
            depth -= 1
    return deepest


@lru_cache(maxsize=16)
def _member(key: str) -> re.Pattern[bytes]:
    """Return a pattern for a member of that name whose value is a string, with the string as its group."""
    return re.compile(re.escape(orjson.dumps(key)) + rb'\s*:\s*("(?:[^"\\]|\\.)*")')


def within(value: Any, *names: str) -> Any:
    """Return what stands at the end of a way of members, None where it leads nowhere."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def with_value(raw: bytes, body: Json, key: str, value: Any) -> bytes:
    """Return `raw` with the top-level `key` set to `value`; every other byte stays.

    `body` is `raw` parsed. A key that is not there yet is added at the end.
    """
    new = orjson.dumps(value)
    if key not in body:
        end = raw.rindex(b"}")
        comma = b"," if body else b""
        return raw[:end].rstrip() + comma + orjson.dumps(key) + b":" + new + raw[end:]
    if isinstance(body[key], str) and not (b"\\u00" in raw and _ESCAPED_LETTER.search(raw)):
        # The one place where this text can stand outside a string is a key: inside, its quotes are escaped. A key can
        # be spelled otherwise only with escaped letters, which no encoder writes.
        place, *more = _member(key).finditer(raw)
        if not more:
            return raw[: place.start(1)] + new + raw[place.end(1) :]
    start, end = _span(raw.decode(), key)
    text = raw.decode()
    return (text[:start] + new.decode() + text[end:]).encode()


def _span(text: str, wanted: str) -> tuple[int, int]:
    """Return where the value of the top-level key `wanted` starts and ends in `text`, a valid JSON object."""
    decoder = json.JSONDecoder()
    blank = re.compile(r"[ \t\r\n]*")

    def skip(position: int) -> int:
        match = blank.match(text, position)
        return match.end() if match else position

    position = skip(0) + 1  # past the brace
    while True:
        key, position = decoder.raw_decode(text, skip(position))
        start = skip(skip(position) + 1)  # past the colon
        _, position = decoder.raw_decode(text, start)
        if key == wanted:
            return start, position
        position = skip(position) + 1  # past the comma
