"""Chat requests as OpenAI publishes them: a strategy made of its SDK's types, as deep and as odd as those allow."""

import json
from collections.abc import Mapping
from functools import cache
from os import PathLike
from types import NoneType, UnionType
from typing import IO, Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from hypothesis import strategies as st
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from typing_extensions import get_type_hints, is_typeddict

ODD = [
    "",
    " ",
    "\u2028",
    "\x00",
    "\x1f\u0085",
    "😀",
    "e\u0301",
    "\u202eabc",
    "]]>",
    "{}",
    '{"a":',
    "[DONE]",
    "data: x\n\n",
]
MEANT = ["data:image/png;base64,iVBORw0KGgo=", "data:application/pdf;base64,JVBERi0=", "data:text/plain;base64,aGk="]
MEANT += ["https://example.com/a.png", "ftp://x", "data:,", "call_1", "get_weather", "{}", '{"city":"Rome"}', "wav"]
texts = st.sampled_from(ODD + MEANT) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
whole = st.integers(-3, 9) | st.sampled_from([2**31, 2**63 - 1, -(2**63), 2**64, 10**30])
broken = st.floats(-3, 3) | st.sampled_from([1e308, -1e308, 5e-324, 0.0, -0.0])
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | whole | broken | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
schemas = anything | st.fixed_dictionaries(
    {"type": st.sampled_from(["object", "array", "string", ["string", "null"]])},
    optional={"properties": st.dictionaries(texts, anything, max_size=2), "required": anything, "$defs": anything},
)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    int: whole,
    float: broken | whole,
    bool: st.booleans(),
    NoneType: st.none(),
    object: anything,
    Any: anything,
}


@cache
def of(hint: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for values of a type as the SDK writes it."""
    if hint in PLAIN:
        return PLAIN[hint]
    if is_typeddict(hint):
        return st.deferred(lambda: _members(hint))
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Required, NotRequired, Annotated):
        return of(inner[0])
    if origin in (Union, UnionType):
        return st.one_of([of(each) for each in inner if _can_be_json(each)])
    if origin is Literal:
        return st.sampled_from(inner)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return st.dictionaries(texts, schemas if inner[1] is object else of(inner[1]), max_size=3)
    assert len(inner) == 1, hint
    return st.lists(of(inner[0]), max_size=3)  # Iterable, List, SequenceNotStr


def _can_be_json(hint: Any) -> bool:
    """Say whether a type can be in a request's JSON: files and the answer's own classes are for Python's callers."""
    if get_origin(hint) in (IO, PathLike):
        return False
    return not isinstance(hint, type) or hint in PLAIN or is_typeddict(hint)


def _members(kind: Any) -> st.SearchStrategy[dict[str, Any]]:
    hints = get_type_hints(kind, include_extras=True)
    must = {name for name, hint in hints.items() if get_origin(hint) is Required or name in kind.__required_keys__}
    made = {name: of(hint) for name, hint in hints.items()}
    return st.fixed_dictionaries(
        {name: made[name] for name in hints if name in must}, optional={n: made[n] for n in hints if n not in must}
    )


_hints = get_type_hints(CompletionCreateParamsNonStreaming, include_extras=True)
_message = of(get_args(get_args(_hints["messages"])[0])[0])
_rest = {
    name: of(hint) for name, hint in _hints.items() if name not in {"messages", "model", "stream", "stream_options"}
}
requests: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": st.lists(_message, min_size=1, max_size=4)}, optional=_rest
)


def asked(kind: Any, **must: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for the requests that a type describes, with a few of their members."""
    hints = get_type_hints(kind, include_extras=True)
    rest = {name: of(hint) for name, hint in hints.items() if name not in {*must, "model", "stream"}}
    names = st.frozensets(st.sampled_from(sorted(rest)), max_size=4)
    return names.flatmap(lambda kept: st.fixed_dictionaries(must | {name: rest[name] for name in sorted(kept)}))


def few(body: dict[str, Any], kept: frozenset[str]) -> dict[str, Any]:
    """Return a request with only these of its optional members: one refused member would hide all others."""
    return {name: value for name, value in body.items() if name in {"model", "messages"} | kept}


def raw(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def names() -> list[str]:
    return sorted(_rest)
