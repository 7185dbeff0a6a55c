"""A chat request as Anthropic's Messages API takes it: every member translated, refused, or named as left out."""

import re
from collections.abc import Iterator
from typing import Any

from proxy.body import Json
from proxy.chat import Chat
from proxy.providers.anthropic import conversation, parts, schema, shape, thinking, tools
from proxy.providers.anthropic.draft import Draft

MARKS = 4  # places where a prompt may be cached; the API refuses more
USER_LIMIT = 256  # characters of an end user's id
ONE_OBJECT = "Respond with one JSON object and nothing else: no explanation, no code fence."
FORMAT, SCHEMA = frozenset({"type", "json_schema"}), frozenset({"name", "description", "schema", "strict"})
_PERSONAL = re.compile(r".*@.*\..*|(?=.*[+ ()./-])\+?[\d ()./-]{7,}")  # an e-mail address or a phone number

_TRANSLATED = frozenset(
    (
        *("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "stop"),
        *("tools", "tool_choice", "functions", "function_call", "parallel_tool_calls", "response_format"),
        *("reasoning_effort", "thinking", "temperature", "top_p", "top_k", "user", "safety_identifier"),
        *("service_tier", "cache_control", "logprobs", "top_logprobs", "audio", "modalities", "web_search_options"),
    )
)
# Hints that mean nothing when they have these values, which are OpenAI's defaults.
_DEFAULTS: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "store": (False,),
    "metadata": ({},),
    "verbosity": ("medium",),
}


def translate(chat: Chat, draft: Draft) -> Json:
    """Return the body to send. Raises BadRequest, naming the parameter, for what the API cannot say."""
    body = chat.body
    _refuse(body, draft)
    system, turns = conversation.translate(body["messages"], draft)
    listed, choice = tools.translate(body, draft)
    out: Json = {"model": draft.model, "messages": turns}
    out |= thinking.translate(body, turns, choice, draft)
    _shape_answer(body, out, system, draft)
    if system:
        out["system"] = system
    if listed:
        out["tools"] = listed
    if choice is not None:
        out["tool_choice"] = choice
    if stop := _stops(body.get("stop"), draft):
        out["stop_sequences"] = stop
    if chat.stream:
        out["stream"] = True
    _about_the_caller(body, out, draft)
    _mark(body, out, draft)
    _note_hints(body, draft)
    return out


def _refuse(body: Json, draft: Draft) -> None:
    """Refuse what would change the answer and cannot be said."""
    if body.get("n") not in (None, 1):
        raise draft.refuse("n", "only one choice can be asked for.")
    for name in ("logprobs", "top_logprobs"):
        if body.get(name):
            raise draft.refuse(name, "log probabilities are not to be had.")
    modalities = shape.array(body.get("modalities") or [], "modalities")
    if any(each != "text" for each in modalities):
        raise draft.refuse("modalities", "answers are text only.")
    if body.get("audio") is not None:
        raise draft.refuse("audio", "answers are text only.")
    if body.get("web_search_options") is not None:
        raise draft.refuse("web_search_options", "searching the web cannot be asked for in this form.")


def _shape_answer(body: Json, out: Json, system: list[Json], draft: Draft) -> None:
    """Ask for JSON: by a schema, or where there is none by a sentence at the end of the system prompt."""
    if body.get("response_format") is None:
        return
    asked = shape.an_object(body["response_format"], "response_format")
    kind = asked.get("type")
    draft.note_unknown(asked, FORMAT, "response_format")
    if kind == "json_schema":
        name = "response_format.json_schema"
        given = shape.an_object(asked.get("json_schema"), name)
        draft.note_unknown(given, SCHEMA, name)
        asked_for = shape.an_object(given.get("schema"), f"{name}.schema")
        if isinstance(given.get("description"), str):
            asked_for = {"description": given["description"]} | asked_for
        wanted = schema.strict(asked_for)
        out.setdefault("output_config", {})["format"] = {"type": "json_schema", "schema": wanted}
    elif kind == "json_object":
        system.append(parts.text_block(ONE_OBJECT))
        draft.ignore("response_format")  # asked for in words only
    elif kind != "text":
        raise draft.refuse("response_format.type", "an answer is 'text', 'json_object' or 'json_schema'.")


def _stops(value: Any, draft: Draft) -> list[str]:
    if value is None:
        return []
    listed = [value] if type(value) is str else shape.array(value, "stop")
    stops = [shape.text(each, "stop") for each in listed if each != ""]
    if any(not each.strip() for each in stops):
        raise draft.refuse("stop", "a stop sequence must hold more than blanks and line ends.")
    return stops


def _about_the_caller(body: Json, out: Json, draft: Draft) -> None:
    for name in ("safety_identifier", "user"):
        user = "" if body.get(name) is None else shape.text(body[name], name)
        if not user or out.get("metadata") == {"user_id": user}:
            continue
        if "metadata" not in out and len(user) <= USER_LIMIT and not _PERSONAL.fullmatch(user):
            out["metadata"] = {"user_id": user}
        else:  # Anthropic takes one, and wants no names, addresses or numbers of people
            draft.ignore(name)
    tier = body.get("service_tier")
    if tier in ("auto", "default", "standard_only"):
        out["service_tier"] = "auto" if tier == "auto" else "standard_only"
    elif tier is not None:
        draft.ignore("service_tier")


def _mark(body: Json, out: Json, draft: Draft) -> None:
    """Put in the mark for the whole prompt; of too many marks keep the last, which cover the most."""
    if body.get("cache_control") is not None:
        out["cache_control"] = parts.cache_control(body["cache_control"], "cache_control")
    marked = [block for block in _blocks(out) if "cache_control" in block]
    room = MARKS - ("cache_control" in out)
    for block in marked[: max(len(marked) - room, 0)]:
        del block["cache_control"]
        draft.ignore("cache_control")


def _blocks(out: Json) -> Iterator[Json]:
    yield from out.get("tools", ())
    yield from out.get("system", ())
    for turn in out["messages"]:
        yield from turn["content"]


def _note_hints(body: Json, draft: Draft) -> None:
    for name, value in body.items():
        if name not in _TRANSLATED and value is not None and value not in _DEFAULTS.get(name, ()):
            draft.ignore(name)
