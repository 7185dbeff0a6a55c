"""Claude's signed thoughts where Gemini's callers keep signatures, so that the next turn brings them back.

Clients hand a `thoughtSignature` back as it is, in either alphabet of base64. Google refuses signatures that are not
its own, so that for a target of its kind the documented stand-in takes their place.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error
from dataclasses import replace
from typing import Any

import orjson

from proxy.dialects.base import Asked, Json
from proxy.providers.gemini.contents import NO_SIGNATURE

OURS = b"qlite:"  # six bytes, so that in base64 they are the same eight letters always
MARK = b64encode(OURS)
_OURS = re.compile(rb'("thought_?[sS]ignature"\s*:\s*)"' + MARK + rb'[A-Za-z0-9+/_=-]*"')
_STANDARD = str.maketrans("-_", "+/")


def sign(parts: list[Json], thoughts: Any) -> None:
    """Put signed thoughts on the first call among `parts`, or into an empty text behind them, as Google does."""
    blocks = [each for each in thoughts if isinstance(each, dict)] if isinstance(thoughts, list) else []
    if not blocks:
        return
    signature = b64encode(OURS + orjson.dumps(blocks)).decode()
    call = next((part for part in parts if "functionCall" in part), None)
    if call is None:
        parts.append({"text": "", "thoughtSignature": signature})
    else:
        call["thoughtSignature"] = signature


def thoughts_of(signature: Any) -> list[Json]:
    """Return the signed thoughts in a signature, none if it is not ours."""
    if not isinstance(signature, str) or not signature.startswith(MARK.decode()):
        return []
    try:
        blocks = orjson.loads(b64decode(signature.translate(_STANDARD), validate=True)[len(OURS) :])
    except (Error, ValueError):
        return []
    return [each for each in blocks if isinstance(each, dict)] if isinstance(blocks, list) else []


def as_native(asked: Asked) -> Asked:
    """Return the request as Google may see it. Where there is no signature of ours, its bytes pass."""
    if MARK not in asked.raw:
        return asked
    raw = _OURS.sub(rb'\1"' + NO_SIGNATURE.encode() + b'"', asked.raw)
    return replace(asked, raw=raw, body=orjson.loads(raw))
