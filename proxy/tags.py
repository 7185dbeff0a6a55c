"""Tags of a call: what its caller says it is for, kept on its record so that reports can be split by it."""

import re
from collections.abc import Mapping
from typing import Any

from proxy.call import Call
from proxy.errors import BadRequest

HEADER = "X-Qlite-Tags"
MOST = 16  # in the header, and kept on a record
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
LONGEST = 256  # characters of a value


def note(call: Call, names: frozenset[str]) -> None:
    """Put those tags on the entry whose name is in `names`: the header's, then the metadata's. Raises BadRequest.

    What is not kept is named in `call.unkept`. Strings in the metadata that are no allowed tag are the provider's
    matter and go unmentioned.
    """
    said = _of_header(call.tags_said) if call.tags_said else {}
    kept = {name: value for name, value in said.items() if name in names}
    call.unkept = tuple(f"{HEADER}: {name}" for name in said if name not in names)
    metadata = call.asked.body.get("metadata")
    if type(metadata) is dict:
        call.unkept += _of_metadata(metadata, names, kept)
    call.entry.tags = kept


def _of_header(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = (each.strip() for each in part.partition("="))
        if not equals or not NAME.fullmatch(name):
            raise _bad("write it as 'name=value, name=value'; names are letters, digits, '_', '.' and '-'")
        if not (0 < len(value) <= LONGEST and value.isascii() and value.isprintable()):
            raise _bad(f"the value of {name!r} must be 1 to {LONGEST} printable ASCII characters")
        if name in found:
            raise _bad(f"{name!r} is there twice")
        found[name] = value
    if len(found) > MOST:
        raise _bad(f"at most {MOST} tags are accepted")
    return found


def _of_metadata(metadata: Mapping[str, Any], names: frozenset[str], kept: dict[str, str]) -> tuple[str, ...]:
    """Add to `kept`, and return the names of allowed ones that cannot be."""
    unkept = []
    for name in sorted(names & metadata.keys() - kept.keys()):
        value = metadata[name]
        if type(value) is str and 0 < len(value) <= LONGEST and len(kept) < MOST:
            kept[name] = value
        elif value not in ("", None):
            unkept.append(f"metadata.{name}")
    return tuple(unkept)


def _bad(what: str) -> BadRequest:
    return BadRequest(f"The header {HEADER} cannot be read: {what}.", code="invalid_tags", param=HEADER)
