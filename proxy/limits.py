"""A provider's rate-limit headers on their way to the caller: its own, and always in OpenAI's words, which SDKs read.

OpenAI: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, reset as `6m0s`. Anthropic:
`anthropic-ratelimit-{requests,tokens,...}-{limit,remaining,reset}`, reset as an RFC 3339 time.
"""

import time
from collections.abc import Iterable
from datetime import datetime

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
    pairs = [(low, value) for name, value in raw if b"ratelimit-" in (low := name.lower())]
    return _cleaned(pairs) if pairs else ()


def _cleaned(pairs: list[tuple[bytes, bytes]]) -> Pairs:
    kept = [(name, value) for name, value in pairs if name.startswith((OPENAI, ANTHROPIC)) and _plain(value)]
    there = {name for name, _ in kept}
    for name, value in list(kept):
        ours = TRANSLATED.get(name)
        if ours is not None and ours not in there:
            kept.append((ours, _seconds(value) if ours.startswith(b"x-ratelimit-reset") else value))
    return tuple(pair for pair in kept if pair[1])


def _plain(value: bytes) -> bool:
    return len(value) <= LONGEST and value.isascii() and value.decode().isprintable()


def _seconds(moment: bytes) -> bytes:
    """Turn a time into the seconds until then, as OpenAI writes them; nothing where it is no time."""
    try:
        at = datetime.fromisoformat(moment.decode()).timestamp()
    except ValueError:
        return b""
    return b"%ds" % max(0, round(at - time.time()))
