"""A Responses request: what is checked of it, and the chat request it amounts to.

Source: OpenAI API reference, responses; the bodies that Codex CLI 0.169 sends.
"""

from dataclasses import replace
from typing import Any

from proxy import body as bodies
from proxy.chat import refuse_forbidden
from proxy.dialects import checks
from proxy.dialects.base import Asked
from proxy.dialects.responses import unknown
from proxy.dialects.responses.content import odd_details
from proxy.dialects.responses.history import LEFT_OUT, messages_of
from proxy.dialects.responses.state import OURS, PREFIX
from proxy.dialects.responses.tools import Toolbox
from proxy.errors import BadRequest

Json = dict[str, Any]
# What refers to things kept at the provider, where all tenants of this gateway share one account.
STORED = ("previous_response_id", "conversation", "prompt")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
LOGPROBS = "message.output_text.logprobs"
# Read here, or without a meaning for a model that runs no built-in tools and for a gateway that stores no answers.
READ = frozenset(
    (
        *("model", "input", "instructions", "stream", "stream_options", "tools", "tool_choice", "parallel_tool_calls"),
        *("text", "reasoning", "max_output_tokens", "top_logprobs", "include", "store", "background", "truncation"),
        *("metadata", "client_metadata", "max_tool_calls", "context_management", "image", "access_programs", *STORED),
    )
)
# What chat calls by another name: nobody can tell which of the two a caller means who sends it here.
OF_CHAT = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "logprobs": "top_logprobs",
    "functions": "tools",
    "function_call": "tool_choice",
    "n": "",
    "modalities": "",
    "audio": "",
    "prediction": "",
    "web_search_options": "",
}


def parse(raw: bytes, *, model: str = "", stream: bool = False) -> Asked:
    """Return the request in `raw`. Raises BadRequest for what is wrong wherever it goes."""
    body = bodies.parse(raw)
    refuse_forbidden(body)
    asked = Asked(raw, body, checks.model_of(body, model), checks.streams(body) or stream)
    _refuse_stored(body)
    _check_input(body)
    checks.objects(body, "tools")
    checks.optional(body, "instructions", str)
    checks.whole(body, "max_output_tokens", 1)
    checks.whole(body, "top_logprobs", 0, 20)
    checks.number(body, "temperature", 0, 2)
    checks.number(body, "top_p", 0, 1)
    for name in ("text", "reasoning", "metadata"):
        checks.optional(body, name, dict)
    return asked


def chat(asked: Asked) -> Json:
    """Return the chat request that says the same. Raises BadRequest for what chat cannot say."""
    body = asked.body
    tools = Toolbox(body)
    if tools.refusal is not None:
        raise tools.refusal
    inner: Json = {"model": asked.model, "messages": messages_of(body, tools)}
    if not inner["messages"]:
        raise BadRequest("'input' holds no message.", param="input")
    if asked.stream:
        inner["stream"] = True
    inner |= _tools(body, tools) | _text(body) | _reasoning(body) | _logprobs(body)
    if body.get("max_output_tokens") is not None:
        inner["max_completion_tokens"] = body["max_output_tokens"]
    return inner | _others(body)


def as_native(asked: Asked) -> Asked:
    """Return the request as OpenAI itself may see it: without the reasoning that came from other providers.

    OpenAI looks reasoning up by its id or decrypts it, and refuses what it never made. Where there is none of ours, the
    very same request comes back, and its bytes pass.
    """
    items = asked.body["input"]
    if OURS.encode() not in asked.raw or type(items) is not list:
        return asked
    kept = [item for item in items if not (item.get("type") == "reasoning" and str(item.get("id")).startswith(OURS))]
    if len(kept) == len(items):
        return asked
    body = asked.body | {"input": kept}
    return replace(asked, raw=bodies.with_value(asked.raw, asked.body, "input", kept), body=body)


def ignored(asked: Asked) -> tuple[str, ...]:
    """Return the names of hints that `chat` leaves out."""
    body = asked.body
    names = [name for name in ("context_management", "image", "access_programs") if body.get(name) is not None]
    if body.get("store") is True:
        names.append("store")
    if body.get("truncation") == "auto":
        names.append("truncation")
    reasoning = body.get("reasoning") or {}
    if reasoning.get("context") == "current_turn":
        names.append("reasoning.context")
    if reasoning.get("mode") not in (None, "standard"):
        names.append("reasoning.mode")
    return (*names, *Toolbox(body).ignored, *_ignored_items(body), *dict.fromkeys(unknown.names(body, LEFT_OUT)))


def _refuse_stored(body: Json) -> None:
    for name in STORED:
        if body.get(name) is not None:
            raise checks.unsupported(
                name, f"{name!r} refers to something stored. This gateway stores nothing: send it all as 'input'."
            )
    if checks.optional(body, "background", bool):
        raise checks.unsupported("background", "'background' is not supported: nothing is stored to be fetched later.")


def _check_input(body: Json) -> None:
    items = body.get("input")
    if type(items) is str:
        return
    if items is None:
        raise checks.missing("input")
    if type(items) is not list:
        raise checks.wrong_type("input", "a string or an array")
    for place, item in enumerate(checks.objects(body, "input")):
        path = f"input[{place}]"
        kind = checks.optional(item, "type", str, path=f"{path}.")
        if kind == "item_reference" or (kind is None and item.get("role") is None and item.get("id") is not None):
            raise checks.unsupported(path, f"'{path}' refers to a stored item. Send the item itself.")
        if kind in {"additional_tools", "tool_search_output"}:
            checks.objects(item, "tools", path=f"{path}.")


def _tools(body: Json, tools: Toolbox) -> Json:
    """Return the tools and how to use them; servers refuse the latter where there are none."""
    choice = tools.choice(body)
    if not tools.functions:
        return {}
    inner: Json = {"tools": tools.functions}
    if choice is not None:
        inner["tool_choice"] = choice
    parallel = checks.optional(body, "parallel_tool_calls", bool)
    return inner if parallel is None else inner | {"parallel_tool_calls": parallel}


def _text(body: Json) -> Json:
    text = body.get("text") or {}
    inner: Json = {}
    verbosity = checks.one_of(text, "verbosity", ("low", "medium", "high"), path="text.")
    if verbosity in {"low", "high"}:
        inner["verbosity"] = verbosity
    form = checks.optional(text, "format", dict, path="text.") or {}
    kind = checks.one_of(form, "type", ("text", "json_object", "json_schema"), path="text.format.")
    if kind == "json_object":
        inner["response_format"] = {"type": "json_object"}
    elif kind == "json_schema":
        schema: Json = {"name": checks.required(form, "name", str, path="text.format.")}
        schema["schema"] = checks.required(form, "schema", dict, path="text.format.")
        schema |= {name: form[name] for name in ("strict", "description") if form.get(name) is not None}
        inner["response_format"] = {"type": "json_schema", "json_schema": schema}
    return inner


def _reasoning(body: Json) -> Json:
    """Return the effort. A summary needs no asking: what a model tells of its reasoning is always handed on."""
    effort = checks.one_of(body.get("reasoning") or {}, "effort", EFFORTS, path="reasoning.")
    return {} if effort is None else {"reasoning_effort": effort}


def _logprobs(body: Json) -> Json:
    wanted = checks.optional(body, "include", list) or []
    top = body.get("top_logprobs")
    if LOGPROBS not in wanted and not top:
        return {}
    return {"logprobs": True} | ({} if top is None else {"top_logprobs": top})


def _others(body: Json) -> Json:
    """Return what is called the same in chat, and what we do not know: it is the provider's to judge."""
    for name, here in OF_CHAT.items():
        if body.get(name) is not None:
            hint = f" Use {here!r}." if here else ""
            raise checks.unsupported(name, f"{name!r} is no parameter of the Responses API.{hint}")
    return {name: value for name, value in body.items() if name not in READ and value is not None}


def _ignored_items(body: Json) -> list[str]:
    names = []
    for place, item in enumerate(body["input"] if isinstance(body["input"], list) else []):
        path = f"input[{place}]"
        if item.get("type") in LEFT_OUT:
            names.append(path)
        elif item.get("type") == "reasoning" and not str(item.get("encrypted_content") or PREFIX).startswith(PREFIX):
            names.append(f"{path}.encrypted_content")  # another provider's, which only it can read
        for name in ("content", "output"):
            names += [f"{path}.{name}[{at}].detail" for at in odd_details(item.get(name))]
    return names
