"""A stream of Gemini's as OpenAI's chunks. Each event is a whole response with only what is new in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from accounts.prices import Usage
from proxy.body import Json
from proxy.errors import StreamCut
from proxy.providers.gemini import names, said
from proxy.providers.gemini.errors import detail_of, in_stream
from proxy.providers.gemini.grounding import citations, counted, queries_of, with_searches
from proxy.providers.gemini.reply import index_of
from proxy.providers.gemini.usage import parse_usage
from proxy.providers.legacy import is_legacy


@dataclass(slots=True)
class Choice:
    """What has been said of one candidate so far. `begun`: the caller has been told of it."""

    begun: bool = False
    calls: int = 0
    answered: bool = False  # something other than thoughts has come
    reason: str = ""
    words: list[str] = field(default_factory=list)  # only where citations in them are to be found
    grounded: Json = field(default_factory=dict)


class GeminiStream:
    """Translates one stream.

    Gemini has no last event: a candidate may say that it has finished in a chunk of its own, after its call, and
    usage may follow. So finish reasons are held back until the stream ends, and `ended` is true only then. `usage` is
    None until every candidate has finished: before that, `so_far` is what has been used up to the last chunk.
    """

    def __init__(self, shape: Callable[[Mapping[str, Any]], Json], new_id: Callable[[], str], asked: Json) -> None:
        self._shape_of, self._new_id = shape, new_id
        self._own_names, self._legacy = names.changed(asked), is_legacy(asked)
        self._searches = asked.get("web_search_options") is not None
        self._shape: Json = {}
        self._choices: dict[int, Choice] = {}
        self._blocked = False
        self._queries: list[Any] = []
        self.so_far: Usage | None = None
        self.unread = 0
        self.ended = False

    @property
    def usage(self) -> Usage | None:
        return self.so_far if self._finished else None

    @property
    def _finished(self) -> bool:
        if not self._choices:
            return self._blocked
        return all(choice.reason for choice in self._choices.values())

    def feed(self, name: bytes, data: bytes) -> list[Json]:
        """Take one event, or an error that stands in the stream as bare JSON, and return the chunks it makes."""
        body = _loaded(data)
        if detail := detail_of(body):
            raise in_stream(detail)
        if not isinstance(body, dict):
            self.unread += body is None
            return []
        self._shape = self._shape or self._shape_of(body) | {"object": "chat.completion.chunk"}
        self._queries += queries_of(body)
        count = counted(self._queries, body.get("modelVersion")) if self._queries else 0
        self.so_far = with_searches(parse_usage(body.get("usageMetadata")) or self.so_far, count)
        self._blocked = self._blocked or said.blocked(body)
        candidates = enumerate(said.objects(body.get("candidates")))
        return [chunk for place, each in candidates for chunk in self._candidate(each, index_of(each, place))]

    def finish(self) -> list[Json]:
        """Return the chunks with the finish reasons. Raises StreamCut if a candidate has none, or has failed."""
        if not self._finished:
            raise StreamCut("The provider ended the stream before the answer was complete.")
        if not self._choices:
            self._choices[0] = Choice(reason="SAFETY")
        for choice in self._choices.values():
            if choice.reason in said.FAILED and not choice.answered:
                raise StreamCut(f"The model failed to answer ({choice.reason}).", code="upstream_invalid_response")
        self.ended = True
        return [chunk for index, choice in self._choices.items() for chunk in self._last(index, choice)]

    def _candidate(self, candidate: Json, index: int) -> list[Json]:
        choice = self._choices.setdefault(index, Choice())
        heard = said.read(candidate, self._new_id, self._own_names)
        delta = self._delta(heard, choice)
        choice.reason = said.reason_of(candidate) or choice.reason
        if self._searches:
            choice.words.append(heard.text or "")
            choice.grounded = candidate if "groundingMetadata" in candidate else choice.grounded
        return [self._chunk(index, delta, logprobs=said.logprobs(candidate))] if delta else []

    def _delta(self, heard: said.Said, choice: Choice) -> Json:
        """Return what is new, with the role where it is the first; {} where there is nothing to say yet."""
        made = len(heard.calls)
        heard.calls = [{"index": choice.calls + place} | call for place, call in enumerate(heard.calls)]
        if self._legacy and choice.calls:
            heard.calls = []
        choice.calls += made
        choice.answered = choice.answered or bool(heard.text or heard.calls or heard.images)
        delta: Json = ({"content": heard.text} if heard.text else {}) | heard.message(legacy=self._legacy)
        if not delta or choice.begun:
            return delta
        choice.begun = True
        return {"role": "assistant", "content": None if heard.calls else ""} | delta

    def _last(self, index: int, choice: Choice) -> list[Json]:
        reason = said.finish_reason(choice.reason, called=choice.calls > 0, legacy=self._legacy)
        cited = citations(choice.grounded, "".join(choice.words)) if choice.grounded else []
        last = self._chunk(index, {"annotations": cited} if cited else {}, reason=reason)
        return [last] if choice.begun else [self._chunk(index, {"role": "assistant", "content": ""}), last]

    def _chunk(self, index: int, delta: Json, *, reason: str | None = None, logprobs: Json | None = None) -> Json:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return self._shape | {"choices": [choice]}


def _loaded(data: bytes) -> Any:
    """Return an event's JSON, None if it is none: such an event is passed over, and the stream goes on."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
