"""Chat chunks as the events of a streamed Response.

Each event has a name, a growing sequence number, and what it adds to which item. Source: OpenAI API reference,
responses streaming; the order of events as OpenAI sends it.
"""

from typing import Any, Protocol

import orjson

from accounts.prices import Usage
from proxy.dialects.base import Asked, StreamEncoder
from proxy.dialects.responses import items
from proxy.dialects.responses.items import COMPLETED, IN_PROGRESS, INCOMPLETE, REASONS
from proxy.dialects.responses.parts import Call, Emit, Reasoning, Speech
from proxy.dialects.responses.reply import call_id
from proxy.dialects.responses.state import OURS, State, calls_in, objects
from proxy.dialects.responses.tools import Toolbox
from proxy.errors import GatewayError

Json = dict[str, Any]
# The codes that a Response's error may have (OpenAI's list, and two more that it sends and Codex acts on).
CODES = frozenset(
    {"server_error", "rate_limit_exceeded", "invalid_prompt", "context_length_exceeded", "insufficient_quota"}
)


class Item(Protocol):
    place: int

    def close(self, emit: Emit, status: str) -> Json:
        """Say the last events of this item, and return the whole of it."""
        ...


class Encoder(StreamEncoder):
    """One stream. At most one thing said or thought is open at a time; calls stay open, their parts may alternate."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._tools = Toolbox(asked.body)
        self._source: Json | None = None
        self._number = 0
        self._events: list[bytes] = []
        self._output: list[Json | None] = []  # whole items by place, None while one is open
        self._open: Reasoning | Speech | None = None
        self._calls: dict[int, Call] = {}
        self._state = State()
        self._finish = ""

    def feed(self, chunk: Json) -> bytes:
        if self._source is None:
            self._begin(chunk)
        for choice in objects(chunk.get("choices")):
            if choice.get("index") in (0, None):
                self._take(choice)
        return self._said()

    def end(self, usage: Usage | None, cost: str) -> tuple[bytes, bytes]:
        source = self._begun()
        reason = REASONS.get(self._finish)
        status = INCOMPLETE if reason else COMPLETED
        self._close_all(status)
        before = self._said()
        whole = self._response(
            source,
            status,
            incomplete_details={"reason": reason} if reason else None,
            usage=items.usage_object(usage) if usage else None,
        )
        self.emit(f"response.{status}", cost=cost, response=whole)
        return before, self._said()

    def error(self, error: GatewayError) -> bytes:
        """Say it twice, as OpenAI does: SDKs raise at the first, and Codex reads the second."""
        detail = error.body()["error"]
        told = {name: detail[name] for name in ("code", "message", "param")}
        self.emit("error", **told, error=detail)
        code = error.code if error.code in CODES else "rate_limit_exceeded" if error.status == 429 else "server_error"
        failed = self._response(self._source or {}, "failed", error={"code": code, "message": error.message})
        self.emit("response.failed", response=failed)
        return self._said()

    def emit(self, name: str, **members: Any) -> None:
        """Put one event into what is to be said next."""
        event = orjson.dumps({"type": name, "sequence_number": self._number} | members)
        self._events.append(b"event: " + name.encode() + b"\ndata: " + event + b"\n\n")
        self._number += 1

    def _begun(self) -> Json:
        """Return the chunk that the answer began with; a stream without any begins with its end."""
        if self._source is None:
            self._begin({})
        return self._source or {}

    def _begin(self, source: Json) -> None:
        self._source = source
        self.emit("response.created", response=self._response(source, IN_PROGRESS))
        self.emit("response.in_progress", response=self._response(source, IN_PROGRESS))

    def _take(self, choice: Json) -> None:
        delta = choice["delta"] if isinstance(choice.get("delta"), dict) else {}
        self._state.take(delta)
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thought, str) and thought:
            self._thinking().add(self.emit, thought)
        if isinstance(text := delta.get("content"), str) and text:
            self._speaking().say(self.emit, text, items.logprobs(choice.get("logprobs")))
        if isinstance(refusal := delta.get("refusal"), str) and refusal:
            self._speaking().refuse(self.emit, refusal)
        for cited in items.annotations(delta.get("annotations")):
            self._speaking().cite(self.emit, cited)
        for made in objects(delta.get("images")):
            self._showing(made)
        for part in calls_in(delta):
            self._calling(part)
        if isinstance(reason := choice.get("finish_reason"), str):
            self._finish = reason

    def _thinking(self) -> Reasoning:
        if not isinstance(self._open, Reasoning):
            self._close_open()
            self._open = Reasoning(self._place(), f"{OURS}{self._base()}_{len(self._output) - 1}")
            self._open.begin(self.emit)
        return self._open

    def _speaking(self) -> Speech:
        if not isinstance(self._open, Speech):
            self._carry()
            self._close_open()
            self._open = Speech(self._place(), f"msg_{self._base()}_{len(self._output) - 1}")
            self._open.begin(self.emit)
        return self._open

    def _showing(self, made: Json) -> None:
        shown = items.picture(made)
        if shown is None:
            return
        self._close_open()
        place = len(self._output)
        item = {"id": f"ig_{self._base()}_{place}"} | shown
        self._output.append(item)
        begun = item | {"status": IN_PROGRESS, "result": None}
        self.emit("response.output_item.added", output_index=place, item=begun)
        self.emit("response.output_item.done", output_index=place, item=item)

    def _calling(self, part: Json) -> None:
        function = part["function"] if isinstance(part.get("function"), dict) else {}
        index = part.get("index")
        if not isinstance(index, int):  # some servers send whole calls and do not number them
            index = len(self._calls) if part.get("id") or not self._calls else max(self._calls)
        if index not in self._calls:
            self._begin_call(index, part, str(function.get("name") or ""))
        if isinstance(arguments := function.get("arguments"), str) and arguments:
            self._calls[index].add(self.emit, arguments)

    def _begin_call(self, index: int, part: Json, name: str) -> None:
        known = call_id(part, self._base(), index)
        self._state.take_call(known, part)
        self._carry()
        self._close_open()
        place, tool = self._place(), self._tools.called(name)
        call = self._calls[index] = Call(place, items.call_item_id(tool, self._base(), place), known, tool)
        call.begin(self.emit)

    def _carry(self) -> None:
        """Open a thought that says nothing if there is something to carry that the provider wants back."""
        if self._state and not isinstance(self._open, Reasoning):
            self._thinking()

    def _close_open(self, status: str = COMPLETED) -> None:
        if self._open is None:
            return
        if isinstance(self._open, Reasoning) and self._state:
            self._open.packed = self._state.pack()
            self._state = State()
        self._close(self._open, status)
        self._open = None

    def _close_all(self, status: str) -> None:
        """Close what is open. Only what came last can be cut off."""
        if not self._output:  # clients expect that there is something
            self._carry()
            speech = self._speaking()
            if items.nothing(status):
                speech.say(self.emit, "", [])
        last = len(self._output) - 1
        if self._open is not None:
            self._close_open(status if self._open.place == last else COMPLETED)
        for call in self._calls.values():
            self._close(call, status if call.place == last else COMPLETED)
        self._carry()  # what some providers give only at the very end
        self._close_open()

    def _close(self, item: Item, status: str) -> None:
        self._output[item.place] = item.close(self.emit, status)

    def _place(self) -> int:
        self._output.append(None)
        return len(self._output) - 1

    def _base(self) -> str:
        return items.base_of(self._source or {}, self._asked)

    def _response(self, source: Json, status: str, **more: Any) -> Json:
        return items.response(self._asked, source, status, [item for item in self._output if item], **more)

    def _said(self) -> bytes:
        said, self._events = b"".join(self._events), []
        return said
