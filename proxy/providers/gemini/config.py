"""How to generate: a chat's sampling, limits, format of the answer and thinking as Gemini's generationConfig."""

from typing import Any

from proxy.body import Json
from proxy.dialects import checks
from proxy.errors import BadRequest
from proxy.providers.gemini import schema
from proxy.providers.gemini.draft import Draft

# Google's own mapping for its OpenAI layer, in tokens.
BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}
MOST_STOPS = 5
FORMAT, SCHEMA = frozenset({"type", "json_schema"}), frozenset({"name", "strict", "schema", "description"})
SEED_LIMIT = 2**31


def put(draft: Draft, body: Json, out: Json) -> None:
    """Put `generationConfig` into `out` if there is anything to say. Raises BadRequest naming what cannot be said."""
    config: Json = {}
    _limits(body, config)
    _sampling(draft, body, config)
    _choices(draft, body, config)
    _logprobs(body, config)
    _modalities(draft, body, config)
    _format(draft, body, config)
    _thinking(draft, body, config)
    if config:
        out["generationConfig"] = config


def _limits(body: Json, config: Json) -> None:
    longest = body.get("max_completion_tokens") or body.get("max_tokens")
    if longest:
        config["maxOutputTokens"] = longest
    stop = body.get("stop")
    stops = [stop] if type(stop) is str else checks.optional(body, "stop", list) or []
    for place, each in enumerate(stops):
        if type(each) is not str:
            raise checks.wrong_type(f"stop[{place}]", "a string")
    if len(stops) > MOST_STOPS:
        raise BadRequest(f"'stop' must not hold more than {MOST_STOPS} sequences.", param="stop")
    if told := [each for each in stops if each]:
        config["stopSequences"] = told


def _sampling(draft: Draft, body: Json, config: Json) -> None:
    for name, wire in (("temperature", "temperature"), ("top_p", "topP"), ("top_k", "topK")):
        value = checks.optional(body, name, int) if name == "top_k" else body.get(name)
        if value is not None and draft.can.sampling:
            config[wire] = value
        elif value is not None:
            draft.ignore(name)
    for name, wire in (("presence_penalty", "presencePenalty"), ("frequency_penalty", "frequencyPenalty")):
        if not (penalty := checks.number(body, name, -2, 2)):
            continue
        if draft.can.penalties:
            config[wire] = penalty
        else:
            draft.ignore(name)


def _choices(draft: Draft, body: Json, config: Json) -> None:
    if (choices := body.get("n") or 1) > 1:
        if not draft.can.candidate_count:
            raise draft.refuse("n", "this model gives one choice only.")
        config["candidateCount"] = choices
    if (seed := checks.whole(body, "seed", -SEED_LIMIT, SEED_LIMIT - 1)) is not None:
        config["seed"] = seed


def _logprobs(body: Json, config: Json) -> None:
    wanted = checks.optional(body, "logprobs", bool)
    alternatives = checks.whole(body, "top_logprobs", 0, 20)
    if alternatives and not wanted:
        raise BadRequest("'top_logprobs' is allowed only with 'logprobs': true.", param="top_logprobs")
    if wanted:
        config["responseLogprobs"] = True
        if alternatives:
            config["logprobs"] = alternatives


def _modalities(draft: Draft, body: Json, config: Json) -> None:
    """Text needs no word; pictures are an extension of OpenAI's dialect that several gateways share."""
    wanted = checks.optional(body, "modalities", list) or []
    for place, each in enumerate(wanted):
        if each not in ("text", "image"):
            raise draft.refuse(f"modalities[{place}]", f"{str(each)[:64]!r} cannot be asked for.")
    if "image" in wanted:
        config["responseModalities"] = [each.upper() for each in wanted]


def _format(draft: Draft, body: Json, config: Json) -> None:
    wanted = checks.optional(body, "response_format", dict) or {"type": "text"}
    kind = checks.required(wanted, "type", str, path="response_format.")
    draft.note_unknown(wanted, FORMAT, "response_format")
    if kind == "text":
        return
    if kind not in {"json_object", "json_schema"}:
        raise draft.refuse("response_format.type", f"the format {kind[:64]!r} cannot be asked for.")
    if body.get("tools") and not draft.can.tools_with_schema:
        raise draft.refuse("response_format", "this model cannot answer in JSON while it is offered tools.")
    config["responseMimeType"] = "application/json"
    if kind == "json_schema":
        told = checks.required(wanted, "json_schema", dict, path="response_format.")
        draft.note_unknown(told, SCHEMA, "response_format.json_schema")
        _schema(told, config)


def _schema(told: Json, config: Json) -> None:
    where = "response_format.json_schema."
    wanted = checks.optional(told, "schema", dict, path=where)
    if wanted is None:
        return
    if description := checks.optional(told, "description", str, path=where):
        wanted = {"description": description} | wanted
    config["responseJsonSchema"] = schema.tidy(wanted)


def _thinking(draft: Draft, body: Json, config: Json) -> None:
    """Put `thinkingConfig`: a budget or a level, never both. What is not quite what was asked is named as ignored."""
    effort = checks.one_of(body, "reasoning_effort", tuple(BUDGETS))
    if effort is None or (effort == "none" and draft.can.thinking == "none"):
        return
    if draft.can.thinking == "none":
        draft.ignore("reasoning_effort")
        return
    name, value, told = _budget(draft, effort) if draft.can.thinking == "budget" else _level(draft, effort)
    if told != effort:
        draft.ignore("reasoning_effort")
    config["thinkingConfig"] = {name: value} | ({} if effort == "none" else {"includeThoughts": True})


def _budget(draft: Draft, effort: str) -> tuple[str, Any, str]:
    """Return the member, its value, and the effort that it stands for."""
    tokens = BUDGETS[effort]
    if tokens < draft.can.least_budget:
        return "thinkingBudget", draft.can.least_budget, "least"
    return "thinkingBudget", tokens, "high" if effort in {"xhigh", "max"} else effort


def _level(draft: Draft, effort: str) -> tuple[str, Any, str]:
    if effort in {"none", "minimal"}:
        told = "minimal" if draft.can.minimal_level else "low"
    elif effort in {"xhigh", "max"}:
        told = "xhigh" if draft.can.xhigh_level else "high"
    else:
        told = effort
    return "thinkingLevel", told.upper(), told
