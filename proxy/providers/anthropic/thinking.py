"""Thinking and sampling: how much a model is asked to think, and what may be said beside it."""

from typing import Any

from proxy.body import Json
from proxy.errors import BadRequest
from proxy.providers.anthropic import shape
from proxy.providers.anthropic.capabilities import EFFORTS
from proxy.providers.anthropic.draft import Draft

# Anthropic requires max_tokens, OpenAI does not. Long enough for most answers, and within what any model allows.
MAX_TOKENS = 4096
# Where a model thinks, its thoughts count as output: 4096 could be used up before the answer begins.
MAX_TOKENS_THINKING = 16384
LEAST_BUDGET = 1024  # tokens; the API refuses less
BUDGETS = {"minimal": 1024, "low": 1024, "medium": 4096, "high": 16384, "xhigh": 16384, "max": 16384}
ADAPTIVE = "high"  # what a model does that may think as much as it sees fit
_BEYOND = ("xhigh", "max")  # for which these models have no more than for "high"
_ASKED = ("none", "minimal", *EFFORTS)


def translate(body: Json, turns: list[Json], choice: Json | None, draft: Draft) -> Json:
    """Return the members of the request that have to do with thinking, sampling and the length of the answer."""
    asked = _asked(body, draft)
    forced = choice is not None and choice["type"] in ("any", "tool")
    length = _length(body)
    if draft.can.thinking == "budget":
        said = _budget(asked, length, turns, forced, draft)
    else:
        said = _adaptive(asked, forced, draft)
    said["max_tokens"] = length if length is not None else _default_length(said, draft)
    thinks = said.get("thinking", {}).get("type") in ("enabled", "adaptive")
    return said | _sampling(body, thinks, draft)


def _asked(body: Json, draft: Draft) -> str | int | None:
    """Return how much thinking is asked for: an effort, a budget in tokens, "none", or None for no word about it."""
    effort = body.get("reasoning_effort")
    if effort is not None:
        if effort not in _ASKED:
            words = ", ".join(_ASKED)
            raise BadRequest(f"'reasoning_effort' must be one of {words}.", param="reasoning_effort")
        if body.get("thinking") is not None and _extension(body["thinking"]) != ADAPTIVE:
            draft.ignore("thinking")  # an effort is said already
        return str(effort)
    return None if body.get("thinking") is None else _extension(body["thinking"])


def _extension(value: Any) -> str | int | None:
    """Return what `thinking` asks for, Anthropic's own parameter, which many callers send in OpenAI's dialect too."""
    thinking = shape.an_object(value, "thinking")
    kind = thinking.get("type")
    if kind == "enabled":
        return shape.whole(thinking.get("budget_tokens"), "thinking.budget_tokens", least=LEAST_BUDGET)
    if kind == "disabled":
        return "none"
    if kind == "adaptive":
        return ADAPTIVE
    raise BadRequest("'thinking.type' must be 'enabled', 'disabled' or 'adaptive'.", param="thinking.type")


def _length(body: Json) -> int | None:
    length: int | None = body.get("max_completion_tokens")
    return body.get("max_tokens") if length is None else length


def _default_length(said: Json, draft: Draft) -> int:
    thinking = said.get("thinking", {})
    if "budget_tokens" in thinking:
        return int(thinking["budget_tokens"]) + MAX_TOKENS
    unasked = draft.can.thinking in ("always", "default") and thinking.get("type") != "disabled"
    return MAX_TOKENS_THINKING if unasked or thinking.get("type") == "adaptive" else MAX_TOKENS


def _budget(asked: str | int | None, length: int | None, turns: list[Json], forced: bool, draft: Draft) -> Json:
    if asked is None:
        return {}
    if asked == "none":
        return {"thinking": {"type": "disabled"}}
    tokens = BUDGETS[asked] if type(asked) is str else int(asked)
    if length is not None and tokens >= length:
        # The caller's limit holds for thoughts and answer together, so the thoughts have to leave room.
        tokens = max(length // 2, LEAST_BUDGET)
        draft.ignore(_name(asked))
    elif asked in _BEYOND:
        draft.ignore(_name(asked))
    if forced or (length is not None and tokens >= length) or not _may_think(turns):
        draft.ignore(_name(asked))
        return {}
    return {"thinking": {"type": "enabled", "budget_tokens": tokens}}


def _may_think(turns: list[Json]) -> bool:
    """Say whether thinking can be on: it cannot where the signed thoughts behind the latest calls are lost."""
    if turns[-1]["role"] == "assistant":
        return False
    answers = [turn["content"] for turn in turns if turn["role"] == "assistant"]
    if not answers or all(block["type"] != "tool_use" for block in answers[-1]):
        return True
    return answers[-1][0]["type"] in ("thinking", "redacted_thinking")


def _adaptive(asked: str | int | None, forced: bool, draft: Draft) -> Json:
    if asked is None:
        return {}
    if asked == "none" and draft.can.thinking != "always":
        return {"thinking": {"type": "disabled"}}
    if asked == "none":
        draft.ignore("reasoning_effort")
        return {"output_config": {"effort": "low"}}
    said: Json = {"output_config": {"effort": _effort(asked, draft)}}
    if not forced:  # a call that must be made leaves no choice to think about, and the API refuses both together
        # What was thought is left out of the answer unless this asks for it.
        said["thinking"] = {"type": "adaptive", "display": "summarized"}
    return said


def _effort(asked: str | int, draft: Draft) -> str:
    """Return the model's own level that is nearest to what is asked for."""
    if type(asked) is int:
        return "low" if asked <= 1024 else "medium" if asked <= 8192 else "high"
    levels = draft.can.effort
    if asked in levels:
        return str(asked)
    draft.ignore("reasoning_effort")  # not quite what was asked for
    if asked == "minimal":
        return "low"
    return levels[-1] if asked == "max" else "high"


def _name(asked: str | int) -> str:
    return "reasoning_effort" if type(asked) is str else "thinking"


def _sampling(body: Json, thinks: bool, draft: Draft) -> Json:
    """Return what can be said of sampling: nothing to newer models, nothing beside thinking, one of two to others."""
    said: Json = {}
    given = {name: body[name] for name in ("temperature", "top_p", "top_k") if body.get(name) is not None}
    if "top_k" in given:
        shape.whole(given["top_k"], "top_k", least=0)
    for name in ("temperature", "top_p"):  # of which 1 is the default, and only one may be said
        if given.get(name) == 1:
            del given[name]
    for name, value in given.items():
        if not draft.can.sampling or thinks or (name == "top_p" and "temperature" in said):
            draft.ignore(name)
        else:
            said[name] = value
    if said.get("temperature", 0) > 1:  # OpenAI's scale goes to 2, Anthropic's ends at 1
        said["temperature"] = 1
        draft.ignore("temperature")
    return said
