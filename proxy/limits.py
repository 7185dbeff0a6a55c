"""A provider's rate-limit headers on their way to the caller: its own, and always in OpenAI's words, which SDKs read.

OpenAI: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, reset as `6m0s`. Anthropic:
`anthropic-ratelimit-{requests,tokens,...}-{limit,remaining,reset}`, reset as an RFC 3339 time.
"""

import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache

Pairs = tuple[tuple[bytes, bytes], ...]

LONGEST = 64  # bytes of a value; nobody's limit is longer
OPENAI, ANTHROPIC = b"x-ratelimit-", b"anthropic-ratelimit-"
TRANSLATED = {
    b"anthropic-ratelimit-%s-%s" % (what, part): b"x-ratelimit-%s-%s" % (part, what)
    for what in (b"requests", b"tokens")
    for part in (b"limit", b"remaining", b"reset")
}


def told(raw: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """Return the rate-limit headers among `raw`, lower case, with Anthropic's also in OpenAI's words."""
    kept = [(name, value) for given, value in raw if (name := _limit(given)) and value and _plain(value)]
    if any(name in TRANSLATED for name, _ in kept):
        kept += list(_in_openais_words(kept))
    return tuple(kept)


@lru_cache(maxsize=512)
def _limit(name: bytes) -> bytes:
    """Return the name in lower case if it is one of a rate limit, else b""."""
    low = name.lower()
    return low if low.startswith((OPENAI, ANTHROPIC)) else b""


def _in_openais_words(pairs: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    there = {name for name, _ in pairs}
    for name, value in pairs:
        ours = TRANSLATED.get(name)
        if ours is not None and ours not in there:
            said = _seconds(value) if ours.startswith(b"x-ratelimit-reset") else value
            if said:
                yield ours, said


def _plain(value: bytes) -> bool:
    return len(value) <= LONGEST and value.isascii() and value.decode().isprintable()


def _seconds(moment: bytes) -> bytes:
    """Turn a time into the seconds until then, as OpenAI writes them; nothing where it is no time."""
    try:
        at = datetime.fromisoformat(moment.decode()).timestamp()
    except ValueError:
        return b""
    return b"%ds" % max(0, round(at - time.time()))
