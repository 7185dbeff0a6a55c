"""What a kind of provider promises: pure translation between OpenAI chat, the inner dialect, and its wire."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from accounts.prices import Usage
from proxy.chat import Chat
from proxy.errors import StreamCut, UpstreamError
from routing.values import Target

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request to a provider: where, with what headers, which bytes. `ignored` names hints that had to be left out."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    ignored: tuple[str, ...] = ()


class StreamTranslator(Protocol):
    """Turns one stream of a provider's events into OpenAI's chunks; a fresh object for each stream."""

    @property
    def usage(self) -> Usage | None:
        """What the provider has reported so far; the last word wins."""
        ...

    @property
    def so_far(self) -> Usage | None:
        """What it has reported of an answer that is not whole: its prompt, as a rule."""
        ...

    @property
    def unread(self) -> int:
        """How many events were no JSON: they are left out, and the stream goes on."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the provider has said that the answer is complete."""
        ...

    def feed(self, name: bytes, data: bytes) -> list[Json]:
        """Return the chunks that one event amounts to, never a usage chunk. Raises StreamCut for an error event."""
        ...

    def finish(self) -> list[Json]:
        """Return what is left when the stream has ended. Raises StreamCut if the answer is not complete."""
        ...


class Adapter(Protocol):
    @property
    def dialect(self) -> str:
        """What its bytes are: "openai", "anthropic" or "gemini"."""
        ...

    def request(self, chat: Chat, target: Target) -> Outgoing:
        """Return the request to send. Raises BadRequest, naming the parameter, for what the dialect cannot say."""
        ...

    def native(self, raw: bytes, body: Json, target: Target, *, operation: str, stream: bool) -> Outgoing:
        """Return a request of this very dialect: the caller's bytes, with the upstream model put in."""
        ...

    def reply(self, body: Json, chat: Chat) -> Json:
        """Return a provider's answer as an OpenAI chat completion."""
        ...

    def usage(self, body: Mapping[str, Any]) -> Usage | None:
        """Return the usage an answer reports, in disjoint classes; None where it reports none or nonsense."""
        ...

    def stream(self, chat: Chat) -> StreamTranslator | None:
        """Return a translator for one stream; None where the bytes are OpenAI's own and pass."""
        ...

    def error(self, status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamError:
        """Return what a provider's error answer means for us and for the caller."""
        ...

    def fault(self, body: Json) -> StreamCut:
        """Return what an error means that stands in a body of this dialect, whatever the status."""
        ...
