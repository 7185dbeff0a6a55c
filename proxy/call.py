"""The two values that travel through the pipeline: the call going in, and the reply coming out."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from accounts.budgets.purse import Reservation
from accounts.keys import Grant
from accounts.ledger.entry import Entry
from accounts.prices import Usage
from proxy.chat import Chat
from proxy.dialects.base import Asked, Dialect
from proxy.dialects.openai_chat import wants_usage
from proxy.errors import BadRequest
from proxy.native.passing import Passing
from proxy.signatures import Signatures
from routing.values import Match, Target

STOPPING = "server_shutting_down"  # what the server cancels with when its time to drain is over


@dataclass(slots=True)
class Call:
    """One request by the holder of a key. `entry` is what the ledger will hold of it.

    `asked` and `match`, what is asked and where it may go, are there once the gateway has read the body. `dialect` is
    the caller's, None for OpenAI's chat, which needs no translation among its own.
    """

    grant: Grant
    entry: Entry
    started: float  # monotonic seconds
    began: float = field(init=False, default=0.0)  # the same of its latest attempt
    dialect: Dialect | None = None
    asked: Asked = field(init=False)
    match: Match = field(init=False)
    inner: Chat | None = None
    reads_cache: bool = True
    writes_cache: bool = True
    traceparent: str = ""
    tags_said: str = ""  # the caller's X-Qlite-Tags, which goes no further
    unkept: tuple[str, ...] = ()  # tags that are not kept
    authorization: str = ""  # the caller's own, for a provider that wants it; never a key of ours
    carried: tuple[tuple[str, str], ...] = ()  # headers that go to a target of the caller's own dialect unchanged
    reservation: Reservation | None = None  # on the budgets that the call counts on
    headers: Mapping[bytes, bytes] = field(default_factory=dict)  # as they came in, by lower-case name
    signatures: Signatures | None = None  # remembered for the team
    passing: Passing | None = None  # set where nothing is translated, see proxy.native
    so_far: Usage | None = None  # what a provider had reported when the call ended before its answer began
    ask: "Ask | None" = None  # how a target is asked then, with the gateway as its first argument

    @property
    def chat(self) -> Chat:
        """What is asked, as OpenAI's chat. Raises BadRequest for what that cannot say."""
        if self.inner is None:
            asked = self.asked
            body = self.dialect.chat(asked) if self.dialect is not None else asked.body
            self.inner = Chat(orjson.dumps(body), body, asked.model, asked.stream, wants_usage=False)
        return self.inner

    @property
    def wants_usage(self) -> bool:
        """Whether the caller asked for the usage chunk at the end of an OpenAI stream."""
        if self.dialect is None:
            return self.inner is not None and self.inner.wants_usage
        return wants_usage(self.asked)

    @property
    def free(self) -> bool:
        """Whether nobody bills such a call, counting tokens for one."""
        return self.passing.operation.free if self.passing is not None else self.asked.operation == "count_tokens"

    @property
    def countable(self) -> dict[str, Any]:
        """The request in a form whose tokens can be counted; its own where OpenAI's chat cannot say it."""
        try:
            return self.chat.body
        except BadRequest:
            return self.asked.body


class Chunks(Protocol):
    """A stream on its way to the caller, in whole events."""

    @property
    def over(self) -> bool:
        """Whether the bytes returned last were the last ones. May be late by one empty `next`."""
        ...

    async def next(self) -> bytes:
        """Return the next bytes, b"" once there are no more."""
        ...

    def close(self) -> None:
        """Let go of everything, and settle what was delivered. Harmless when called again."""
        ...


@dataclass(slots=True)
class Reply:
    """What goes back: a whole `body`, or a `stream`. Costs are integers in nano-USD; None means unpriced."""

    provider: str
    target: str
    body: bytes = b""
    stream: Chunks | None = None
    cost_nano: int | None = 0
    usage: Usage | None = None
    usage_source: str = "none"
    cache: str = "BYPASS"
    tokens_saved: int = 0
    attempts: list[str] = field(default_factory=list)
    limits: tuple[tuple[bytes, bytes], ...] = ()  # the provider's rate-limit headers, in OpenAI's words too
    ignored: tuple[str, ...] = ()  # hints that the target's dialect has no word for
    # Called with the stream's bytes, as they came from the provider, once it is complete and settled.
    on_complete: list[Callable[["Reply", list[bytes]], None]] = field(default_factory=list)
    on_failure: list[Callable[[], None]] = field(default_factory=list)


Proceed = Callable[[Call], Awaitable[Reply]]  # the stages after this one, see proxy/pipeline.py
Ask = Callable[[Any, Call, Target], Awaitable[Reply]]
