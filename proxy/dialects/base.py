"""What a caller's dialect promises: pure translation between its wire and the inner dialect, OpenAI chat."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from accounts.prices import Usage
from proxy.errors import GatewayError, StreamCut

Json = dict[str, Any]


@dataclass(slots=True)
class Asked:
    """A checked request in the caller's own dialect. `operation` says what is asked: "chat", "embeddings", ..."""

    raw: bytes
    body: Json
    model: str
    stream: bool
    operation: str = "chat"


class StreamEncoder(Protocol):
    """Turns OpenAI's chunks into the caller's events; a fresh object for each stream.

    `comments`: the dialect's clients bear comments between events, as the standard has it.
    """

    comments: bool = True

    def feed(self, chunk: Json) -> bytes:
        """Return the caller's events for one chunk, b"" if there are none."""
        ...

    def end(self, usage: Usage | None, cost: str) -> tuple[bytes, bytes]:
        """Return the last events, before and after the comment that says the cost (a decimal, or "unpriced")."""
        ...

    def error(self, error: GatewayError) -> bytes:
        """Return an error event; nothing follows it."""
        ...


class Watcher(Protocol):
    """Reads a stream that passes untouched, since provider and caller speak the same dialect."""

    @property
    def usage(self) -> Usage | None: ...
    @property
    def so_far(self) -> Usage | None:
        """What the provider has reported of an answer that is not whole: its prompt, as a rule."""
        ...

    @property
    def ended(self) -> bool: ...
    @property
    def error(self) -> StreamCut | None: ...

    def interesting(self, block: bytes) -> bool:
        """Say, cheaply, whether `block` of whole events may hold one that has to be read."""
        ...

    def feed(self, name: bytes, data: bytes) -> None:
        """Take note of one event."""
        ...

    def complete(self) -> bool:
        """Say, at the end of the stream, whether the answer was whole."""
        ...


class Dialect(Protocol):
    @property
    def name(self) -> str:
        """ "openai", "anthropic", "gemini" or "responses"."""
        ...

    def parse(self, raw: bytes, *, model: str = "", stream: bool = False) -> Asked:
        """Return the request in `raw`; model and stream are given where the URL says them. Raises BadRequest."""
        ...

    def chat(self, asked: Asked) -> Json:
        """Return the same request in the inner dialect. Raises BadRequest naming the caller's own parameter."""
        ...

    def reply(self, completion: Json, asked: Asked) -> Json:
        """Return an OpenAI chat completion in the caller's shape."""
        ...

    def encoder(self, asked: Asked) -> StreamEncoder:
        """Return an encoder for one stream."""
        ...

    def error(self, error: GatewayError, request_id: str) -> Json:
        """Return the body of an error in the caller's shape."""
        ...

    def usage(self, body: Mapping[str, Any]) -> Usage | None:
        """Return the usage that an answer in this dialect reports, in disjoint classes."""
        ...

    def watcher(self) -> Watcher:
        """Return a watcher for one stream that passes untouched."""
        ...

    # What most have no other word for; whoever inherits from this has it.

    opening: frozenset[bytes] = frozenset()  # names of events that say nothing yet: until then a stream has not begun

    def as_native(self, asked: Asked) -> Asked:
        """Return the request for a target that takes this very dialect."""
        return asked

    def ignored(self, asked: Asked) -> tuple[str, ...]:
        """Return the hints in the request that cannot be translated and are left out."""
        return ()

    def counted(self, tokens: int) -> Json:
        """Return the answer to a question for the size of a prompt."""
        return {"input_tokens": tokens}
