"""The legacy completions API as a caller's dialect: one prompt, one text.

Native at whoever has it; elsewhere the prompt becomes a user's message. Source: OpenAI API reference, completions.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from accounts.prices import Usage
from proxy import body as bodies
from proxy import sse
from proxy.chat import MAX_CHOICES, refuse_forbidden
from proxy.dialects import checks
from proxy.dialects.base import Asked, Dialect, Json, StreamEncoder
from proxy.dialects.openai_chat import ChatWatcher, reported_usage, usage_event, wants_usage
from proxy.errors import BadRequest, GatewayError

# What the reference says an answer may have at most where nobody says anything; people rely on its being short.
DEFAULT_MAX_TOKENS = 16
OF_CHAT = ("messages", "tools", "tool_choice", "functions", "function_call", "max_completion_tokens", "modalities")
# Read here, or said in another way. What is not listed is called the same in chat, or is the provider's to judge.
READ = frozenset(("model", "prompt", "suffix", "echo", "best_of", "logprobs", "max_tokens", "stream_options"))


class Completions(Dialect):
    name = "completions"

    def parse(self, raw: bytes, *, model: str = "", stream: bool = False) -> Asked:
        body = bodies.parse(raw)
        refuse_forbidden(body)
        asked = Asked(raw, body, checks.model_of(body, model), checks.streams(body) or stream)
        _check_prompt(body)
        checks.whole(body, "max_tokens", 0)
        checks.whole(body, "n", 1, MAX_CHOICES)
        checks.whole(body, "best_of", 1, MAX_CHOICES)
        checks.whole(body, "logprobs", 0)
        checks.number(body, "temperature", 0, 2)
        checks.number(body, "top_p", 0, 1)
        checks.optional(body, "echo", bool)
        checks.optional(body, "suffix", str)
        return asked

    def chat(self, asked: Asked) -> Json:
        body = asked.body
        _refuse_what_chat_cannot(body)
        inner: Json = {"model": asked.model, "messages": [{"role": "user", "content": _only_prompt(body)}]}
        inner |= {name: value for name, value in body.items() if name not in READ and value is not None}
        inner["max_completion_tokens"] = DEFAULT_MAX_TOKENS if body.get("max_tokens") is None else body["max_tokens"]
        if body.get("logprobs") is not None:
            inner |= {"logprobs": True, "top_logprobs": body["logprobs"]}
        return inner

    def as_native(self, asked: Asked) -> Asked:
        """Return the request for a target that has this API: a stream is asked for its usage, as in chat."""
        if not asked.stream or wants_usage(asked):
            return asked
        options = (asked.body.get("stream_options") or {}) | {"include_usage": True}
        return replace(asked, raw=bodies.with_value(asked.raw, asked.body, "stream_options", options))

    def reply(self, completion: Json, asked: Asked) -> Json:
        shape = {name: value for name, value in completion.items() if name not in {"choices", "object"}}
        choices = [_choice(choice, "message", asked) for choice in _objects(completion.get("choices"))]
        return _renamed(shape) | {"object": "text_completion", "choices": choices}

    def encoder(self, asked: Asked) -> "CompletionsEncoder":
        return CompletionsEncoder(asked)

    def error(self, error: GatewayError, request_id: str) -> Json:
        return error.body()

    def usage(self, body: Mapping[str, Any]) -> Usage | None:
        return reported_usage(body)

    def watcher(self) -> ChatWatcher:
        return ChatWatcher()


class CompletionsEncoder(StreamEncoder):
    """Chat chunks as chunks of text. What else a model tells, its reasoning for one, has no place here."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._shape: Json = {"object": "text_completion"}
        self._lengths: dict[int, int] = {}  # of the text so far, by choice

    def feed(self, chunk: Json) -> bytes:
        shape = {name: value for name, value in chunk.items() if name not in {"choices", "object", "usage"}}
        self._shape = _renamed(shape) | {"object": "text_completion"}
        told = [self._choice(choice) for choice in _objects(chunk.get("choices"))]
        choices = [choice for choice in told if choice["text"] or choice["finish_reason"] or choice["logprobs"]]
        return sse.encode(orjson.dumps(self._shape | {"choices": choices})) if choices else b""

    def end(self, usage: Usage | None, cost: str) -> tuple[bytes, bytes]:
        told = usage_event(self._shape, usage, cost) if usage is not None and wants_usage(self._asked) else b""
        return told, sse.DONE

    def error(self, error: GatewayError) -> bytes:
        return sse.encode(orjson.dumps(error.body()))

    def _choice(self, choice: Json) -> Json:
        index = choice["index"] if isinstance(choice.get("index"), int) else 0
        begun = index in self._lengths
        told = _choice(choice, "delta", self._asked, echo=not begun, offset=self._lengths.get(index, 0))
        self._lengths[index] = self._lengths.get(index, 0) + len(told["text"])
        return told


def _check_prompt(body: Json) -> None:
    """Refuse what is no prompt: a text, texts, tokens, or lists of tokens."""
    prompt = body.get("prompt")
    if prompt is None:
        raise checks.missing("prompt")
    if type(prompt) is str:
        return
    if type(prompt) is not list:
        raise checks.wrong_type("prompt", "a string or an array")
    if not prompt:
        raise BadRequest("'prompt' must not be empty.", param="prompt")
    kinds = {type(each) for each in prompt}
    if kinds not in ({str}, {int}, {list}):
        raise checks.wrong_type("prompt", "an array of strings, of tokens, or of arrays of tokens")
    if kinds == {list} and any(type(token) is not int for tokens in prompt for token in tokens):
        raise checks.wrong_type("prompt", "an array of arrays of tokens")


def _only_prompt(body: Json) -> str:
    """Return the one text that chat can take."""
    prompt = body["prompt"]
    if type(prompt) is list and len(prompt) == 1 and type(prompt[0]) is str:
        prompt = prompt[0]
    if type(prompt) is str:
        return prompt
    what = "one prompt at a time" if type(prompt[0]) is str else "text, no tokens"
    raise checks.unsupported("prompt", f"'prompt': this model is served as chat, which takes {what}.")


def _refuse_what_chat_cannot(body: Json) -> None:
    for name in OF_CHAT:
        if body.get(name) is not None:
            raise checks.unsupported(name, f"{name!r} is no parameter of completions.")
    refused = {
        "suffix": bool(body.get("suffix")),
        "best_of": body.get("best_of") not in {None, body.get("n") or 1},
        "echo": bool(body.get("echo")) and body.get("logprobs") is not None,  # the prompt's own are not to be had
        "max_tokens": body.get("max_tokens") == 0,
    }
    for name in (name for name, is_so in refused.items() if is_so):
        raise checks.unsupported(name, f"{name!r} cannot be said like this to a model that is served as chat.")


def _choice(choice: Json, where: str, asked: Asked, *, echo: bool = True, offset: int = 0) -> Json:
    message = choice[where] if isinstance(choice.get(where), dict) else {}
    said = message.get("content") or message.get("refusal")
    text = said if isinstance(said, str) else ""
    if echo and asked.body.get("echo"):
        text = _only_prompt(asked.body) + text
    reason = choice.get("finish_reason")
    return {
        "text": text,
        "index": choice.get("index", 0),
        "logprobs": _logprobs(choice.get("logprobs"), offset),
        "finish_reason": "stop" if reason == "tool_calls" else reason,
    }


def _logprobs(found: Any, offset: int) -> Json | None:
    """Return chat's log probabilities in the form of columns that this API has."""
    tokens = _objects(found.get("content")) if isinstance(found, dict) else []
    if not tokens:
        return None
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(str(token.get("token", "")))
    return {
        "tokens": [token.get("token", "") for token in tokens],
        "token_logprobs": [token.get("logprob") for token in tokens],
        "top_logprobs": [_by_token(token.get("top_logprobs")) for token in tokens],
        "text_offset": offsets,
    }


def _by_token(tops: Any) -> Json:
    return {str(top.get("token", "")): top.get("logprob") for top in _objects(tops)}


def _renamed(shape: Json) -> Json:
    """Return the members around the choices, with an id of this API's looks."""
    known = shape.get("id")
    return shape | {"id": f"cmpl-{known.removeprefix('chatcmpl-')}"} if isinstance(known, str) else shape


def _objects(value: Any) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
