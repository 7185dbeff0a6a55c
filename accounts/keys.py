"""API keys: made, recognised, and turned into what they permit. Plain values; the rows stand in `models/keys.py`.

A key is `sk-ql_` + 8 characters of id + 32 of secret + 6 of CRC-32 over all before, in base62.
"""

import hashlib
import secrets
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

PREFIX = "sk-ql_"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID, SECRET, CHECK = 8, 32, 6
LENGTH = len(PREFIX) + ID + SECRET + CHECK
# One message for every reason, so that nobody can find out which keys exist.
REJECTED = "Incorrect API key provided. Ask for a key, or check that yours is complete and still valid."


class KeyRejected(Exception):
    """The key does not open the door. `reason` is for our own log; `str()` is what the caller may read."""

    def __init__(self, reason: str) -> None:
        super().__init__(REJECTED)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Minted:
    """A key just made: the only moment at which its text exists."""

    text: str = field(repr=False)
    id: str
    digest: str
    last4: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key permits, and who pays. `models` holds names or patterns with one *; none means all."""

    key_id: str
    label: str
    team: str
    cost_centre: str = ""
    owner: str = ""
    models: tuple[str, ...] = ()
    expires_at: float | None = None
    disabled: bool = False
    team_disabled: bool = False
    priced_only: bool = False


KeyTable = Mapping[str, Grant]


def mint(random: Callable[[int], bytes] = secrets.token_bytes) -> Minted:
    """Make a key from `random`, a source of that many bytes."""
    body = PREFIX + _letters(random, ID) + _letters(random, SECRET)
    text = body + _check(body)
    return Minted(text, id=text[len(PREFIX) : len(PREFIX) + ID], digest=fingerprint(text), last4=text[-4:])


def well_formed(text: str) -> bool:
    """Say whether this can be one of our keys at all: prefix, length, alphabet and checksum."""
    if len(text) != LENGTH or not text.startswith(PREFIX):
        return False
    return all(letter in ALPHABET for letter in text[len(PREFIX) :]) and _check(text[:-CHECK]) == text[-CHECK:]


def fingerprint(text: str) -> str:
    """SHA-256 of the whole key, in hex: what we store and look up."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def admit(table: KeyTable, text: str, *, now: float) -> Grant:
    """Find what the key permits. Raises KeyRejected where it is unknown, expired or disabled."""
    grant = table.get(fingerprint(text))
    if grant is None:
        raise KeyRejected("unknown" if well_formed(text) else "malformed")
    return _good(grant, now)


def admit_by_id(table: KeyTable, key_id: str, *, now: float) -> Grant:
    """Find what a key permits whose id is known for sure; slow. Raises KeyRejected as `admit` does."""
    grant = next((each for each in table.values() if each.key_id == key_id), None)
    if grant is None:
        raise KeyRejected("unknown")
    return _good(grant, now)


def _good(grant: Grant, now: float) -> Grant:
    if grant.disabled:
        raise KeyRejected("disabled")
    if grant.team_disabled:
        raise KeyRejected("team disabled")
    if grant.expires_at is not None and grant.expires_at <= now:
        raise KeyRejected("expired")
    return grant


def may_use(grant: Grant, model: str) -> bool:
    """Say whether the key may ask for this model."""
    models = grant.models
    return not models or model in models or any(matches(pattern, model) for pattern in models)


def matches(pattern: str, text: str) -> bool:
    """Compare with an exact name, or with a pattern in which one * stands for anything.

    A pattern given as `text` matches only where it is no wider than `pattern`.
    """
    before, star, after = pattern.partition("*")
    if not star:
        return pattern == text
    return len(text) >= len(before) + len(after) and text.startswith(before) and text.endswith(after)


def _letters(random: Callable[[int], bytes], length: int) -> str:
    # Sixteen bytes more than needed: what the modulo favours is then beyond measure.
    return _base62(int.from_bytes(random(length + 16), "big") % 62**length, length)


def _check(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), CHECK)


def _base62(number: int, length: int) -> str:
    letters = []
    for _ in range(length):
        number, place = divmod(number, 62)
        letters.append(ALPHABET[place])
    return "".join(reversed(letters))
