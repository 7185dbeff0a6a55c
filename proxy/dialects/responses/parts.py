"""The items of a streamed Response while they grow: thoughts, speech, and calls."""

from typing import Any, Protocol

from proxy.dialects.responses import items
from proxy.dialects.responses.items import IN_PROGRESS
from proxy.dialects.responses.tools import Tool, input_of

Json = dict[str, Any]


class Emit(Protocol):
    def __call__(self, name: str, **members: Any) -> None:
        """Say an event of that name with these members."""
        ...


class Reasoning:
    """What a model tells of its reasoning, as a summary of one part. `packed` is what its provider wants back."""

    def __init__(self, place: int, item_id: str) -> None:
        self.place, self._id = place, item_id
        self._texts: list[str] = []
        self.packed = ""

    def begin(self, emit: Emit) -> None:
        emit("response.output_item.added", output_index=self.place, item=items.reasoning(self._id, "", "", IN_PROGRESS))

    def add(self, emit: Emit, text: str) -> None:
        where = {"item_id": self._id, "output_index": self.place, "summary_index": 0}
        if not self._texts:
            emit("response.reasoning_summary_part.added", **where, part={"type": "summary_text", "text": ""})
        self._texts.append(text)
        emit("response.reasoning_summary_text.delta", **where, delta=text)

    def close(self, emit: Emit, status: str) -> Json:
        text = "".join(self._texts)
        where = {"item_id": self._id, "output_index": self.place, "summary_index": 0}
        if text:
            emit("response.reasoning_summary_text.done", **where, text=text)
            emit("response.reasoning_summary_part.done", **where, part={"type": "summary_text", "text": text})
        item = items.reasoning(self._id, text, self.packed, status)
        emit("response.output_item.done", output_index=self.place, item=item)
        return item


class Speech:
    """A message: text, then perhaps a refusal, each a part of its own."""

    def __init__(self, place: int, item_id: str) -> None:
        self.place, self._id = place, item_id
        self._parts: list[Json] = []
        self._texts: list[str] = []
        self._annotations: list[Json] = []
        self._logprobs: list[Json] = []
        self._kind = ""

    def begin(self, emit: Emit) -> None:
        emit("response.output_item.added", output_index=self.place, item=items.message(self._id, [], IN_PROGRESS))

    def say(self, emit: Emit, text: str, logprobs: list[Json]) -> None:
        self._turn_to("output_text", emit)
        if not text:
            return
        self._texts.append(text)
        self._logprobs += logprobs
        emit("response.output_text.delta", **self._where(), delta=text, logprobs=logprobs)

    def refuse(self, emit: Emit, text: str) -> None:
        self._turn_to("refusal", emit)
        self._texts.append(text)
        emit("response.refusal.delta", **self._where(), delta=text)

    def cite(self, emit: Emit, annotation: Json) -> None:
        self._turn_to("output_text", emit)
        self._annotations.append(annotation)
        place = len(self._annotations) - 1
        name = "response.output_text.annotation.added"
        emit(name, **self._where(), annotation_index=place, annotation=annotation)

    def close(self, emit: Emit, status: str) -> Json:
        self._end_part(emit)
        item = items.message(self._id, self._parts, status)
        emit("response.output_item.done", output_index=self.place, item=item)
        return item

    def _where(self) -> Json:
        return {"item_id": self._id, "output_index": self.place, "content_index": len(self._parts)}

    def _turn_to(self, kind: str, emit: Emit) -> None:
        """Go on with a part of that kind, a new one if another kind is under way."""
        if self._kind == kind:
            return
        self._end_part(emit)
        self._kind = kind
        emit("response.content_part.added", **self._where(), part=self._part(""))

    def _end_part(self, emit: Emit) -> None:
        if not self._kind:
            return
        text = "".join(self._texts)
        if self._kind == "refusal":
            emit("response.refusal.done", **self._where(), refusal=text)
        else:
            emit("response.output_text.done", **self._where(), text=text, logprobs=self._logprobs)
        part = self._part(text)
        emit("response.content_part.done", **self._where(), part=part)
        self._parts.append(part)
        self._kind, self._texts, self._annotations, self._logprobs = "", [], [], []

    def _part(self, text: str) -> Json:
        if self._kind == "refusal":
            return items.refusal_part(text)
        return items.text_part(text, self._annotations, self._logprobs)


class Call:
    """A call. Arguments of functions are told as they come; free text only when its wrapping can be taken off."""

    def __init__(self, place: int, item_id: str, call_id: str, tool: Tool) -> None:
        self.place, self._id, self._call_id, self._tool = place, item_id, call_id, tool
        self._arguments: list[str] = []

    def begin(self, emit: Emit) -> None:
        item = items.call(self._tool, self._id, self._call_id, "", IN_PROGRESS)
        emit("response.output_item.added", output_index=self.place, item=item)

    def add(self, emit: Emit, arguments: str) -> None:
        self._arguments.append(arguments)
        if self._tool.kind == "function":
            emit("response.function_call_arguments.delta", **self._where(), delta=arguments)

    def close(self, emit: Emit, status: str) -> Json:
        if not self._arguments:
            self.add(emit, "{}")
        arguments = "".join(self._arguments)
        if self._tool.kind == "function":
            emit("response.function_call_arguments.done", **self._where(), arguments=arguments)
        elif self._tool.kind == "custom":
            text = input_of(arguments)
            emit("response.custom_tool_call_input.delta", **self._where(), delta=text)
            emit("response.custom_tool_call_input.done", **self._where(), input=text)
        item = items.call(self._tool, self._id, self._call_id, arguments, status)
        emit("response.output_item.done", output_index=self.place, item=item)
        return item

    def _where(self) -> Json:
        return {"item_id": self._id, "output_index": self.place}
