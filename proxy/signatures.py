"""Signatures that providers want back with their calls, for callers whose clients lose them on the way.

They travel in the answer beside the call (`extra_content`, `thinking_blocks`), but many frameworks keep of a call its
id, name and arguments alone. Without them Gemini's models from 3 on go on with a stand-in, and Claude's up to 4.5
without thinking. So each process remembers them for a while, by team and id of the call. What a caller brings back
itself wins.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from proxy.body import Json
from proxy.chat import Chat

SECONDS = 6 * 3600.0
MOST_BYTES = 16 * 1024 * 1024
ENTRY_OVERHEAD = 500  # bytes of memory besides the signature
EXTRA, BLOCKS = "extra_content", "thinking_blocks"  # of a call; of the message whose first call has the id
Key = tuple[str, str, str]  # team, id of the call, and one of the two


@dataclass(slots=True)
class Signatures:
    """`clock` gives seconds. Of what is too much the oldest goes."""

    clock: Callable[[], float]
    most_bytes: int = MOST_BYTES
    _kept: OrderedDict[Key, tuple[float, bytes]] = field(default_factory=OrderedDict)
    _bytes: int = 0

    def keep(self, key: Key, signed: Any) -> None:
        self._drop(key)
        raw = orjson.dumps(signed)
        self._kept[key] = (self.clock() + SECONDS, raw)
        self._bytes += len(raw) + ENTRY_OVERHEAD
        while self._bytes > self.most_bytes or (self._kept and self._first_is_old()):
            self._drop(next(iter(self._kept)))

    def find(self, key: Key) -> Any:
        """Return what was kept, None if there is nothing, or nothing any more."""
        until, raw = self._kept.get(key, (0.0, b""))
        return orjson.loads(raw) if until > self.clock() else None

    def _first_is_old(self) -> bool:
        return next(iter(self._kept.values()))[0] <= self.clock()

    def _drop(self, key: Key) -> None:
        if key in self._kept:
            self._bytes -= len(self._kept.pop(key)[1]) + ENTRY_OVERHEAD

    def restored(self, team: str, chat: Chat, name: str) -> Chat:
        """Return a chat with the signatures of that name which its messages lack."""
        messages = chat.body["messages"]
        if not self._kept or not any(message.get("tool_calls") for message in messages):
            return chat
        restore = self._calls if name == EXTRA else self._message
        told = [restore(team, message) for message in messages]
        if all(mine is theirs for mine, theirs in zip(told, messages, strict=True)):
            return chat
        return replace(chat, body=chat.body | {"messages": told})

    def _calls(self, team: str, message: Json) -> Json:
        calls = _calls_of(message)
        signed = [each if EXTRA in each else self._with(each, (team, _id(each), EXTRA)) for each in calls]
        same = all(mine is theirs for mine, theirs in zip(signed, calls, strict=True))
        return message if same else message | {"tool_calls": signed}

    def _message(self, team: str, message: Json) -> Json:
        calls = _calls_of(message)
        return message if BLOCKS in message or not calls else self._with(message, (team, _id(calls[0]), BLOCKS))

    def _with(self, holder: Json, key: Key) -> Json:
        found = self.find(key)
        return holder if found is None else holder | {key[2]: found}


class Noter:
    """Notes the signatures of one answer: of a message, or of the deltas of a stream one after the other."""

    def __init__(self, signatures: Signatures, team: str) -> None:
        self._signatures, self._team = signatures, team
        self._first = ""

    def take(self, said: Any) -> None:
        if not isinstance(said, dict):
            return
        for call in _calls_of(said):
            if not (id := _id(call)):
                continue
            self._first = self._first or id
            if call.get(EXTRA):
                self._signatures.keep((self._team, id, EXTRA), call[EXTRA])
        if self._first and said.get(BLOCKS):
            self._signatures.keep((self._team, self._first, BLOCKS), said[BLOCKS])

    def take_first(self, answer: Json) -> None:
        """Take what the first choice of a completion, or of a chunk of one, says."""
        if choices := answer.get("choices"):
            said = choices[0].get("delta") or choices[0].get("message")
            if said and ("tool_calls" in said or BLOCKS in said):
                self.take(said)


def _calls_of(message: Json) -> list[Json]:
    """Return a message's calls, none where they are not what they should be: the adapter will say so."""
    calls = message.get("tool_calls")
    return calls if isinstance(calls, list) and all(isinstance(each, dict) for each in calls) else []


def _id(call: Json) -> str:
    id = call.get("id")
    return id if isinstance(id, str) else ""
