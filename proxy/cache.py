"""The exact cache: one team's answers, kept for asking the same again. Streamed and plain calls share entries.

In memory it is the fastest-used part, bounded in bytes; the database behind it is written and read by the housekeeper.
"""

import asyncio
import hashlib
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from accounts.prices import Usage
from proxy.call import Call

# Fields that do not change what a model answers. Everything else does, unknown fields too (reliability B-10).
IGNORED = frozenset({"stream", "stream_options", "user", "metadata"})
ECHOED = frozenset({"user", "metadata"})  # a Response repeats these, so there they make another entry
# What an entry's answer is: a chat completion, for plain and streamed calls of chat; a plain answer in the caller's own
# dialect; a stream's events in it; or chat's chunks, of which events of the caller's dialect are made again.
CHAT, BODY, EVENTS, CHUNKS = "chat", "body", "events", "chunks"
FINISHED = ("stop", "tool_calls", "function_call", "length")
MOST = 2.0**53  # beyond this whole numbers have no exact float
FLIGHT_SECONDS = 30.0
ENTRY_OVERHEAD = 1500  # bytes of memory besides the answer
MAX_ENTRY_BYTES = 1024 * 1024
PENDING_SHARE = 4  # what waits to be written may take a quarter of the capacity again; the oldest are forgotten first


@dataclass(slots=True)
class Entry:
    """One kept answer. In the form CHAT `transcript` is a stream's events until they are assembled into `answer`."""

    key: str
    team: str
    model: str
    route: str
    provider: str
    kind: str
    served_model: str
    usage: Usage
    free: bool
    created_at: float
    expires_at: float
    answer: bytes = b""
    transcript: bytes = b""
    rename: str = ""  # the model name that goes into an answer assembled from the transcript
    pinned: bool = False
    hits: int = 0
    form: str = CHAT
    ignored: tuple[str, ...] = ()  # hints that were left out when it was asked, which is told again

    @property
    def size(self) -> int:
        """Bytes of memory, roughly."""
        return len(self.answer) + len(self.transcript) + ENTRY_OVERHEAD

    def alive(self, now: float) -> bool:
        return self.pinned or now < self.expires_at


def key_of(call: Call) -> str:
    """Return the key: SHA-256 over the team, where the route leads, and the request without what does not matter."""
    dialect = call.dialect
    ignored = IGNORED - ECHOED if dialect is not None and dialect.name == "responses" else IGNORED
    request = {name: _same(value) for name, value in call.asked.body.items() if name not in ignored}
    digest = hashlib.sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS))
    route = call.match.route
    way = [call.grant.team, route.name, str(route.answer_as_asked), *(target.name for target in call.match.targets)]
    if dialect is not None and dialect.name != "minimal":
        # Their streams are kept as they are. Gemini's model stands in the URL, Anthropic's betas in headers.
        way += [dialect.name, str(call.asked.stream), call.asked.model, *(f"{n}:{told}" for n, told in call.carried)]
    digest.update("\0".join(way).encode())
    return digest.hexdigest()


def _same(value: Any) -> Any:
    """Return a parameter as it is compared: a temperature of 1.0 is one of 1."""
    return int(value) if type(value) is float and value.is_integer() and abs(value) < MOST else value


@dataclass(slots=True)
class Cache:
    """What is kept in memory, what has to be written behind, and the calls under way that others wait for."""

    capacity: int  # bytes
    default_ttl: int  # seconds, 0 is off
    _entries: OrderedDict[str, Entry] = field(default_factory=OrderedDict)
    _size: int = 0
    _pending: deque[tuple[Entry, int]] = field(default_factory=deque)  # with the size that each was counted with
    _pending_size: int = 0
    _hits: dict[str, int] = field(default_factory=dict)
    # The loop and the housekeeper's thread both change entries, their order and their size.
    _lock: threading.Lock = field(default_factory=threading.Lock)
    flights: dict[str, asyncio.Future[Entry | None]] = field(default_factory=dict)

    def get(self, key: str, now: float) -> Entry | None:
        """Return the living entry under `key` and count the hit."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            if not entry.alive(now):
                self._drop(key)
                return None
            self._entries.move_to_end(key)
            self._hits[key] = self._hits.get(key, 0) + 1
            entry.hits += 1
            return entry

    def put(self, entry: Entry, *, write: bool = True) -> None:
        """Keep `entry`, and have it written behind unless it came from there."""
        if entry.size > min(MAX_ENTRY_BYTES, self.capacity):
            return
        with self._lock:
            self._drop(entry.key)
            self._entries[entry.key] = entry
            self._size += entry.size
            if write:
                self._pending.append((entry, entry.size))
                self._pending_size += entry.size
                while self._pending_size > self.capacity // PENDING_SHARE and len(self._pending) > 1:
                    self._pending_size -= self._pending.popleft()[1]
            while self._size > self.capacity:
                _, oldest = self._entries.popitem(last=False)
                self._size -= oldest.size

    def drop(self, key: str) -> None:
        with self._lock:
            self._drop(key)

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= entry.size

    def assembled(self, entry: Entry, answer: bytes) -> None:
        """Replace an entry's transcript with the answer made of it, unless the other thread was quicker."""
        with self._lock:
            if entry.answer:
                return
            before = entry.size
            entry.answer, entry.transcript = answer, b""
            if self._entries.get(entry.key) is entry:
                self._size += entry.size - before

    def take_pending(self, at_most: int) -> list[Entry]:
        """Return entries that have to be written, oldest first."""
        with self._lock:
            taken = [self._pending.popleft() for _ in range(min(at_most, len(self._pending)))]
            self._pending_size -= sum(size for _, size in taken)
            return [entry for entry, _ in taken]

    def give_back(self, entries: Iterable[Entry]) -> None:
        """Take back what could not be written."""
        with self._lock:
            again = [(entry, entry.size) for entry in entries]
            self._pending.extendleft(reversed(again))
            self._pending_size += sum(size for _, size in again)

    def take_hits(self) -> dict[str, int]:
        """Return hits by key since the last time."""
        with self._lock:
            hits, self._hits = self._hits, {}
            return hits

    def __len__(self) -> int:
        return len(self._entries)


def keepable(answer: dict[str, Any]) -> bool:
    """Return whether an answer is one to give again: finished by itself, neither refused nor filtered."""
    choices = answer.get("choices") or []
    for choice in choices:
        if not isinstance(choice, dict) or choice.get("finish_reason") not in FINISHED:
            return False
        message = choice.get("message")
        if not isinstance(message, dict) or message.get("refusal"):
            return False
        calls = message.get("tool_calls") or []
        if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
            return False
    return bool(choices)
