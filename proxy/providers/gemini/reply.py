"""A whole answer of Gemini's as an OpenAI chat completion."""

from collections.abc import Callable, Mapping
from typing import Any

from proxy.body import Json
from proxy.errors import UpstreamError
from proxy.providers import breaks
from proxy.providers.gemini import names, said
from proxy.providers.gemini.errors import detail_of, in_stream
from proxy.providers.gemini.grounding import citations
from proxy.providers.gemini.usage import as_openai, parse_usage
from proxy.providers.legacy import is_legacy


def completion(body: Json, shape: Json, new_id: Callable[[], str], asked: Json) -> Json:
    """Return the completion that answers `asked`. Raises UpstreamError for what is no answer.

    `shape` has its id, created and model.
    """
    if detail := detail_of(body):
        raise breaks.instead(in_stream(detail))
    candidates = said.objects(body.get("candidates"))
    own_names, legacy = names.changed(asked), is_legacy(asked)
    heard = [said.read(each, new_id, own_names) for each in candidates]
    choices = [_choice(each, place, heard[place], legacy=legacy) for place, each in enumerate(candidates)]
    if not choices and said.blocked(body):
        choices = [choice(0, {"role": "assistant", "content": None, "refusal": None}, "content_filter")]
    if not choices:
        raise invalid("The provider answered without a candidate.")
    usage = parse_usage(body.get("usageMetadata"))
    return shape | {"object": "chat.completion", "choices": choices} | ({"usage": as_openai(usage)} if usage else {})


def _choice(candidate: Json, place: int, heard: said.Said, *, legacy: bool) -> Json:
    reason = said.reason_of(candidate)
    if reason in said.FAILED and not (heard.text or heard.calls or heard.images):
        raise invalid(f"The model failed to answer ({reason}).")
    message: Json = {"role": "assistant", "content": heard.text, "refusal": None} | heard.message(legacy=legacy)
    if cited := citations(candidate, heard.text or ""):
        message["annotations"] = cited
    word = said.finish_reason(reason, called=bool(heard.calls), legacy=legacy)
    return choice(index_of(candidate, place), message, word, said.logprobs(candidate))


def choice(index: int, message: Json, reason: str, logprobs: Json | None = None) -> Json:
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason}


def index_of(candidate: Mapping[str, Any], place: int) -> int:
    """Return a candidate's number, its place in the list where it has none."""
    index = candidate.get("index")
    return index if type(index) is int and index >= 0 else place


def invalid(sentence: str) -> UpstreamError:
    return UpstreamError(sentence, code="upstream_invalid_response", billable=True)
