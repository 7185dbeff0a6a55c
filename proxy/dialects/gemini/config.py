"""Gemini's generationConfig as OpenAI's parameters."""

from typing import Any

from proxy.dialects import checks
from proxy.dialects.base import Json
from proxy.dialects.gemini.schema import as_json_schema, is_closed
from proxy.dialects.gemini.spelling import cannot, inner
from proxy.errors import BadRequest

PATH = "generationConfig."
NUMBERS = {
    "temperature": ("temperature", 0, 2),
    "topP": ("top_p", 0, 1),
    "presencePenalty": ("presence_penalty", -2, 2),
    "frequencyPenalty": ("frequency_penalty", -2, 2),
}
WHOLE: dict[str, tuple[str, int, int | None]] = {
    "maxOutputTokens": ("max_completion_tokens", 1, None),
    "candidateCount": ("n", 1, 128),
    "seed": ("seed", -(2**63), 2**63 - 1),
}
LEVELS = {"MINIMAL": "minimal", "LOW": "low", "MEDIUM": "medium", "HIGH": "high", "XHIGH": "xhigh"}
# What changes the answer and has no counterpart.
REFUSED = ("speechConfig", "imageConfig", "audioTranscriptionConfig", "routingConfig", "modelSelectionConfig")
_SCHEMAS = ("responseJsonSchema", "_responseJsonSchema", "responseSchema")
TRANSLATED = frozenset(
    (
        *(*NUMBERS, *WHOLE, *REFUSED, *_SCHEMAS, "stopSequences", "responseLogprobs", "logprobs"),
        *("responseMimeType", "responseModalities", "thinkingConfig"),
    )
)


def config(request: Json) -> Json:
    """Return the parameters. Raises BadRequest naming what cannot be said."""
    given = inner(request, "generationConfig")
    for name in REFUSED:
        if given.get(name):
            raise cannot(PATH + name, "only Google's own models know this parameter.")
    told = {wire: _number(given, name, low, high) for name, (wire, low, high) in NUMBERS.items()}
    told |= {wire: checks.whole(given, name, low, high, path=PATH) for name, (wire, low, high) in WHOLE.items()}
    told |= {"stop": _stops(given), "response_format": _format(given), "reasoning_effort": effort(given)}
    if checks.optional(given, "responseLogprobs", bool, path=PATH):
        told |= {"logprobs": True, "top_logprobs": checks.whole(given, "logprobs", 0, 20, path=PATH)}
    _refuse_modalities(given)
    return {name: value for name, value in told.items() if value is not None}


def wants_thoughts(request: Json) -> bool:
    """Say whether the caller wants to see what the model thinks. What passes to Gemini may be wrong: it will say so."""
    try:
        return inner(inner(request, "generationConfig"), "thinkingConfig").get("includeThoughts") is True
    except BadRequest:
        return False


def effort(given: Json) -> str | None:
    """Return the effort, said by a word or in tokens, of which 0 are none."""
    path = f"{PATH}thinkingConfig."
    thinking = inner(given, "thinkingConfig", path=PATH)
    level = checks.optional(thinking, "thinkingLevel", str, path=path)
    if level is not None and level.upper() != "THINKING_LEVEL_UNSPECIFIED":
        if level.upper() not in LEVELS:
            raise BadRequest(f"'{path}thinkingLevel' must be one of {', '.join(LEVELS)}.", param=f"{path}thinkingLevel")
        return LEVELS[level.upper()]
    budget = checks.whole(thinking, "thinkingBudget", -1, path=path)
    if budget is None or budget < 0:
        return None
    if budget == 0:
        return "none"
    return "low" if budget <= 1024 else "medium" if budget <= 8192 else "high"


def _number(given: Json, name: str, low: float, high: float) -> Any:
    value = given.get(name)
    if value is not None and type(value) is not float and type(value) is not int:
        raise checks.wrong_type(PATH + name, "a number")
    if value is not None and not low <= value <= high:
        raise BadRequest(f"'{PATH}{name}' must be between {low:g} and {high:g}.", param=PATH + name)
    return value


def _stops(given: Json) -> list[str] | None:
    stops = checks.optional(given, "stopSequences", list, path=PATH) or []
    for place, each in enumerate(stops):
        if type(each) is not str:
            raise checks.wrong_type(f"{PATH}stopSequences[{place}]", "a string")
    return stops or None


def _format(given: Json) -> Json | None:
    media = checks.optional(given, "responseMimeType", str, path=PATH) or "text/plain"
    wanted = next((name for name in _SCHEMAS if given.get(name) is not None), None)
    if media == "text/plain":
        if wanted is not None:
            raise BadRequest(f"'{PATH}{wanted}' needs the responseMimeType application/json.", param=PATH + wanted)
        return None
    if media != "application/json":
        raise cannot(f"{PATH}responseMimeType", f"an answer as {media[:64]} cannot be asked of this model.")
    if wanted is None:
        return {"type": "json_object"}
    schema: Any = checks.optional(given, wanted, dict, path=PATH)
    if wanted == "responseSchema":
        schema = as_json_schema(schema)
    told: Json = {"name": "answer", "schema": schema}
    return {"type": "json_schema", "json_schema": told | {"strict": True} if is_closed(schema) else told}


def _refuse_modalities(given: Json) -> None:
    for place, each in enumerate(checks.optional(given, "responseModalities", list, path=PATH) or []):
        if each not in ("TEXT", "text", "Text", "MODALITY_UNSPECIFIED"):
            raise cannot(f"{PATH}responseModalities[{place}]", "this model answers in text only.")
