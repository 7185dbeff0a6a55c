"""The ways to serve a call at a target: OpenAI's chat as it is, another dialect as it is, or translated."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson

from accounts.prices import Usage
from proxy import rename
from proxy.body import with_value
from proxy.call import Call
from proxy.chat import Chat
from proxy.dialects import callers_words
from proxy.dialects.gemini import EMBEDDED as EMBEDDED_OPERATIONS
from proxy.dialects.gemini import embedding
from proxy.dialects.openai_chat import OpenAIChat, usage_object
from proxy.errors import BadRequest, UpstreamError
from proxy.passage import Passage
from proxy.providers import ADAPTERS, functions
from proxy.providers.anthropic import capabilities
from proxy.providers.base import Adapter, Json, Outgoing
from proxy.providers.breaks import instead, is_alone, reported
from proxy.providers.extensions import FOREIGN, STRICT, left_out
from proxy.providers.gemini import address, embeddings
from proxy.providers.gemini.draft import begin
from proxy.providers.likenesses import completion as in_form
from proxy.providers.names import OPENAI, callers_names
from proxy.relay import Relay
from proxy.signatures import BLOCKS, EXTRA, Noter
from proxy.stream import ProviderStream, Source
from proxy.translation import Chunks, Translation
from routing.values import Target

OPENAI_KINDS = frozenset({"openai", "groq", "azure-openai", "openai-compatible", "stub"})
# Which kinds take a dialect's operation as it is. What is not here is translated, if it is chat at all.
TAKES = {
    ("anthropic", "chat"): frozenset({"anthropic"}),
    ("anthropic", "count_tokens"): frozenset({"anthropic"}),
    ("gemini", "chat"): frozenset({"gemini"}),
    ("gemini", "count_tokens"): frozenset({"gemini"}),
    ("gemini", "embeddings"): frozenset({"gemini"}),
    ("gemini", "batch_embeddings"): frozenset({"gemini"}),
    # Few who are compatible with OpenAI's chat have the Responses API too, so those are asked in chat.
    ("responses", "chat"): frozenset({"openai", "azure-openai", "groq"}),
    ("completions", "chat"): OPENAI_KINDS - {"stub", "groq"},
    ("embeddings", "embeddings"): OPENAI_KINDS - {"stub", "groq"},
}
# Every server that resembles OpenAI knows `max_tokens`; the newer name is refused by some and ignored by others.
OLDER_LENGTH, LENGTH = frozenset({"openai-compatible"}), "max_completion_tokens"
# Whose callers may say that nothing shall be thought, in words that few who resemble OpenAI have.
SAY_OFF, EFFORT, OFF = frozenset({"anthropic", "gemini"}), "reasoning_effort", "none"
KNOW_DEVELOPERS, DEVELOPER = frozenset({"openai", "azure-openai"}), "developer"
_CHAT = OpenAIChat()
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Read:
    """A plain answer: what goes to the caller, what was used, and the answer parsed, to count by where need be.

    `with_usage` gives what goes to the caller where that has to say what was used, whoever counted.
    """

    body: bytes
    usage: Usage | None
    parsed: Json
    with_usage: Callable[[Usage], bytes] | None = None


class Way(Protocol):
    def request(self, call: Call, target: Target) -> Outgoing:
        """Return the request to send. Raises BadRequest for what the target's dialect cannot say."""
        ...

    def stream(self, call: Call, target: Target, source: Source, deadline: float) -> ProviderStream:
        """Return the stream for the caller."""
        ...

    def read(self, call: Call, target: Target, raw: bytes) -> Read:
        """Return the answer for the caller. Raises UpstreamError for what is no answer."""
        ...


class SameChat:
    """OpenAI's chat on both sides: bytes pass in both directions."""

    def request(self, call: Call, target: Target) -> Outgoing:
        return _adapter(target).request(call.chat, target)

    def stream(self, call: Call, target: Target, source: Source, deadline: float) -> ProviderStream:
        asked = call.chat.model if call.match.route.answer_as_asked else ""
        return Relay(source, _adapter(target).usage, rename=_renamer(asked) if asked else None, deadline=deadline)

    def read(self, call: Call, target: Target, raw: bytes) -> Read:
        body = _completion(raw, target)
        usage = _adapter(target).usage(body)
        if call.match.route.answer_as_asked:
            raw = with_value(raw, body, "model", call.chat.model)
        return Read(raw, usage, body)


class Native:
    """The caller's own dialect, whichever it is, on both sides."""

    def request(self, call: Call, target: Target) -> Outgoing:
        asked = (call.dialect or _CHAT).as_native(call.asked)
        adapter = _adapter(target)
        out = adapter.native(asked.raw, asked.body, target, operation=operation_of(call), stream=asked.stream)
        return replace(out, headers=_with_carried(out.headers, call.carried, adapter.dialect))

    def stream(self, call: Call, target: Target, source: Source, deadline: float) -> ProviderStream:
        dialect = call.dialect or _CHAT
        if dialect.name == "completions":  # its stream is chat's, but for the text
            return Relay(source, _adapter(target).usage, deadline=deadline)
        encoder = dialect.encoder(call.asked)
        return Passage(source, dialect.watcher(), encoder, opening=dialect.opening, deadline=deadline)

    def read(self, call: Call, target: Target, raw: bytes) -> Read:
        body = _object(raw, target)
        return Read(raw, (call.dialect or _CHAT).usage(body), body)


class Translated:
    """Two dialects, with OpenAI's chat between them."""

    def request(self, call: Call, target: Target) -> Outgoing:
        adapter = _adapter(target)
        chat = _likened(call, target) if adapter.dialect == "openai" else _signed(call, target, adapter)
        if (dialect := call.dialect) is None:
            return adapter.request(chat, target)
        try:
            out = adapter.request(chat, target)
        except BadRequest as error:
            error.param = callers_param(call, self, error.param)
            raise
        dropped = EFFORT in call.chat.body and EFFORT not in chat.body
        names = (*out.ignored, EFFORT) if dropped else out.ignored
        named = [callers_words.said(name, dialect.name) for name in names]
        return replace(out, ignored=tuple(dict.fromkeys((*named, *dialect.ignored(call.asked)))))

    def stream(self, call: Call, target: Target, source: Source, deadline: float) -> ProviderStream:
        adapter = _adapter(target)
        dialect = call.dialect or _CHAT
        translator = adapter.stream(call.chat) or Chunks(adapter.usage, names=callers_names(call.chat.body, OPENAI))
        model = call.asked.model if call.match.route.answer_as_asked else ""
        note = _noter(call, adapter)
        return Translation(source, translator, dialect.encoder(call.asked), model=model, note=note, deadline=deadline)

    def read(self, call: Call, target: Target, raw: bytes) -> Read:
        adapter = _adapter(target)
        if adapter.dialect == "openai":
            body = _whole(_completion(raw, target), adapter)
            body = in_form(body, callers_names(call.chat.body, OPENAI))
        else:
            body = _object(raw, target)
        try:
            completion = adapter.reply(body, call.chat)
        except UpstreamError as error:
            error.usage = adapter.usage(body)
            raise
        if (note := _noter(call, adapter)) is not None:
            note(completion)
        if call.match.route.answer_as_asked:
            completion = completion | {"model": call.asked.model}
        dialect, used = call.dialect or _CHAT, adapter.usage(body)
        told = orjson.dumps(dialect.reply(completion, call.asked))

        def with_usage(usage: Usage) -> bytes:
            return orjson.dumps(dialect.reply(completion | {"usage": usage_object(usage)}, call.asked))

        return Read(told, used, completion, with_usage if used is None else None)


class Embedded:
    """OpenAI's embeddings of a model behind Google's API. They are never streamed."""

    def request(self, call: Call, target: Target) -> Outgoing:
        sketch = begin(target, call.asked.model)
        body = orjson.dumps(embeddings.build(call.asked.body, sketch))
        method = address.METHODS["batch_embeddings"]
        return address.outgoing(target, sketch.model, method, body, tuple(sketch.ignored))

    def stream(self, call: Call, target: Target, source: Source, deadline: float) -> ProviderStream:
        raise NotImplementedError

    def read(self, call: Call, target: Target, raw: bytes) -> Read:
        body, asked = _object(raw, target), call.asked
        named = asked.model if call.match.route.answer_as_asked else target.model or asked.model
        told = embeddings.reply(body, asked.body, named)

        def with_usage(usage: Usage) -> bytes:
            return orjson.dumps(told | {"usage": {"prompt_tokens": usage.tokens_in, "total_tokens": usage.tokens_in}})

        return Read(b"", embeddings.usage(body), {}, with_usage)


class EmbeddedElsewhere:
    """Gemini's embeddings of a model behind OpenAI's dialect. They are never streamed."""

    def request(self, call: Call, target: Target) -> Outgoing:
        body, ignored = embedding.request(call.asked)
        out = _adapter(target).native(orjson.dumps(body), body, target, operation="embeddings", stream=False)
        return replace(out, ignored=ignored)

    def stream(self, call: Call, target: Target, source: Source, deadline: float) -> ProviderStream:
        raise NotImplementedError

    def read(self, call: Call, target: Target, raw: bytes) -> Read:
        body = _object(raw, target)
        told = embedding.reply(body, call.asked)

        def with_usage(usage: Usage) -> bytes:
            used = {"promptTokenCount": usage.tokens_in, "totalTokenCount": usage.tokens_in}
            return orjson.dumps(told | {"usageMetadata": used})

        return Read(orjson.dumps(told), _adapter(target).usage(body), {}, with_usage)


SAME_CHAT, NATIVE, TRANSLATED, EMBEDDED = SameChat(), Native(), Translated(), Embedded()
EMBEDDED_ELSEWHERE = EmbeddedElsewhere()


def choose(call: Call, target: Target) -> Way:
    """Return how `call` is served at `target`. Raises UpstreamError where it cannot be: another target may."""
    kind, dialect = target.provider.kind, call.dialect
    if dialect is None:
        return SAME_CHAT if ADAPTERS[kind].dialect == "openai" else TRANSLATED
    if is_native(call, target):
        return NATIVE
    if call.asked.operation == "chat":
        return TRANSLATED
    if call.asked.operation == "embeddings" and kind == "gemini":
        return EMBEDDED
    if call.asked.operation in EMBEDDED_OPERATIONS and kind in TAKES["embeddings", "embeddings"]:
        return EMBEDDED_ELSEWHERE
    error = UpstreamError(
        f"{target.provider.name} cannot serve {call.asked.operation.replace('_', ' ')}.",
        status=400,
        code="unsupported",
        param="model",
    )
    error.sent, error.origin = False, "gateway"
    raise error


def is_native(call: Call, target: Target) -> bool:
    """Say whether the target takes the caller's dialect as it is."""
    dialect = call.dialect
    return dialect is not None and target.provider.kind in TAKES.get((dialect.name, call.asked.operation), ())


def callers_param(call: Call, way: Way, param: str | None) -> str | None:
    """Return what the caller calls a parameter that was named on the way, or by a provider, in OpenAI's chat."""
    dialect = call.dialect
    return callers_words.said(param, dialect.name) if param and dialect is not None and way is TRANSLATED else param


def operation_of(call: Call) -> str:
    """Return which of a provider's endpoints a native call goes to."""
    name = call.dialect.name if call.dialect is not None else "chat"
    return name if name in {"responses", "completions", "embeddings"} else call.asked.operation


def _adapter(target: Target) -> Adapter:
    return ADAPTERS[target.provider.kind]


def _noter(call: Call, adapter: Adapter) -> Callable[[Json], None] | None:
    """Return who notes the signatures of an answer, None where there are none."""
    if call.signatures is None or adapter.dialect == "openai":
        return None
    return Noter(call.signatures, call.grant.team).take_first


def _signed(call: Call, target: Target, adapter: Adapter) -> Chat:
    """Return the chat with signatures that the target wants back and the caller's client has lost.

    Claude's newer models do without, and may refuse thoughts of a conversation that has been changed since.
    """
    chat, is_google = call.chat, adapter.dialect == "gemini"
    if call.signatures is None or not (is_google or capabilities.of(target.model or chat.model).thinking == "budget"):
        return chat
    return call.signatures.restored(call.grant.team, chat, EXTRA if is_google else BLOCKS)


def _with_carried(headers: Headers, carried: Headers, dialect: str) -> Headers:
    """Return a request's headers with what the caller says of the version and betas of this very dialect."""
    told = {name: value for name, value in carried if name.startswith(f"{dialect}-")}
    return (*(pair for pair in headers if pair[0] not in told), *told.items()) if told else headers


def _likened(call: Call, target: Target) -> Chat:
    """Return a translated chat as a provider who speaks OpenAI's dialect takes it.

    It goes without what belongs to another provider; thoughts stay for who wants them back. Few but OpenAI know of
    developers, and of lengths under their newer name: to others these are the system, and `max_tokens`.
    """
    chat = call.chat
    if target.provider.kind in STRICT:
        _refuse_addresses(chat.body, target)
    raw, found = left_out(chat.raw, chat.body, FOREIGN)
    body: Json = orjson.loads(raw) if found else chat.body
    if target.provider.kind not in KNOW_DEVELOPERS and any(each["role"] == DEVELOPER for each in body["messages"]):
        told = [each | {"role": "system"} if each["role"] == DEVELOPER else each for each in body["messages"]]
        raw = orjson.dumps(body := body | {"messages": told})
    if target.provider.kind in OLDER_LENGTH and LENGTH in body:
        renamed = {"max_tokens" if name == LENGTH else name: value for name, value in body.items()}
        raw = orjson.dumps(body := renamed)
    if call.dialect is not None and call.dialect.name in SAY_OFF and body.get(EFFORT) == OFF:
        raw = orjson.dumps(body := {name: value for name, value in body.items() if name != EFFORT})
    if (taken := functions.taken(body)) is not body:
        raw = orjson.dumps(body := taken)
    return chat if raw is chat.raw else Chat(raw, body, chat.model, chat.stream, chat.wants_usage)


def _refuse_addresses(body: Json, target: Target) -> None:
    """Refuse files by their address, which OpenAI's chat does not fetch; others who speak it do, OpenRouter for one."""
    for place, message in enumerate(body["messages"]):
        content = message.get("content")
        for number, part in enumerate(content if isinstance(content, list) else ()):
            if part.get("type") == "file" and str(part["file"].get("file_data"))[:8].lower() == "https://":
                param = f"messages[{place}].content[{number}].file.file_data"
                why = "files are not fetched from an address; send their bytes."
                raise BadRequest(f"{target.name}: {why}", code="unsupported_parameter", param=param)


def _completion(raw: bytes, target: Target) -> Json:
    body = _object(raw, target)
    if not isinstance(body.get("choices"), list):
        raise _no_answer(target)
    return body


def _whole(body: Json, adapter: Adapter) -> Json:
    """Return a chat completion. Raises UpstreamError for one that broke off with an error, as OpenRouter tells it."""
    if (cut := reported(b"", body)) is None:
        return body
    error = instead(cut)
    error.billable, error.usage = True, adapter.usage(body)
    raise error


def _object(raw: bytes, target: Target) -> Json:
    try:
        body: Any = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise _no_answer(target)
    if is_alone(body):
        raise instead(_adapter(target).fault(body))
    return body


def _no_answer(target: Target) -> UpstreamError:
    return UpstreamError(
        f"{target.provider.name} answered with something that is not an answer.",
        code="upstream_invalid_response",
        billable=True,
    )


def _renamer(asked: str) -> Callable[[bytes], bytes]:
    return lambda block: rename.in_events(block, asked)
