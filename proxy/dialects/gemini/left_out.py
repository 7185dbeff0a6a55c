"""What OpenAI's chat has no words for in a request of Gemini's: hints that are left out, by their paths.

What changes an answer is refused where it is translated; this is for the rest, also for what nobody knows.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.dialects.base import Json
from proxy.dialects.gemini import config
from proxy.dialects.gemini.spelling import spelled

# What is read of each object. An empty mapping stands for a value that is taken, or refused, whole.
Known = Mapping[str, "Known"]


def _known(*names: str, **inner: Known) -> Known:
    return {name: {} for name in names} | inner


_MEDIA = _known(
    "text",
    inlineData=_known("mimeType", "data", "displayName"),
    fileData=_known("mimeType", "fileUri", "displayName"),
)
_CALL = _known("id", "name", "args")
_ANSWER = _known("id", "name", "response", parts=_MEDIA)
_PART = _known("thought", "thoughtSignature", functionCall=_CALL, functionResponse=_ANSWER, **_MEDIA)
_FUNCTION = _known("name", "description", "parameters", "parametersJsonSchema")
_NOTHING: Known = {"": {}}
_CONFIG = _known(*config.TRANSLATED - {"thinkingConfig"})
_THINKING = _known("thinkingBudget", "thinkingLevel", "includeThoughts")
_REQUEST = _known(
    *("model", "serviceTier", "cachedContent", "continuationToken"),
    systemInstruction=_known("role", parts=_known("text")),
    contents=_known("role", parts=_PART),
    tools=_known(functionDeclarations=_FUNCTION, googleSearch=_NOTHING, googleSearchRetrieval=_NOTHING),
    toolConfig=_known(functionCallingConfig=_known("mode", "allowedFunctionNames")),
    generationConfig={**_CONFIG, "thinkingConfig": _THINKING},
)


def names(request: Json) -> list[str]:
    """Return the paths of what is left out of a request, each once."""
    return list(dict.fromkeys(_unknown(request, _REQUEST, "")))


def _unknown(holder: Json, known: Known, path: str) -> Iterator[str]:
    for name, value in spelled(holder).items():
        if name not in known:
            if asks(value):
                yield path + name
        elif known[name]:
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, dict):
                    yield from _unknown(each, known[name], f"{path}{name}.")


def asks(value: Any) -> bool:
    """Say whether a value asks for anything: null, false and what is empty do not."""
    return bool(value) or type(value) in (int, float)
