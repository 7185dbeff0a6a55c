"""A chat completion as a Response, for answers that are not streamed."""

from typing import Any

from proxy.dialects.base import Asked
from proxy.dialects.openai_chat import reported_usage
from proxy.dialects.responses import items
from proxy.dialects.responses.items import COMPLETED, INCOMPLETE, REASONS
from proxy.dialects.responses.state import OURS, State, calls_in, objects
from proxy.dialects.responses.tools import Toolbox

Json = dict[str, Any]


def reply(completion: Json, asked: Asked) -> Json:
    """Return the Response that `completion` amounts to."""
    choice = (objects(completion.get("choices")) or [{}])[0]
    reason = REASONS.get(str(choice.get("finish_reason")))
    status = INCOMPLETE if reason else COMPLETED
    output = _output(choice, Toolbox(asked.body), items.base_of(completion, asked), status)
    usage = reported_usage(completion)
    return items.response(
        asked,
        completion,
        status,
        output,
        incomplete_details={"reason": reason} if reason else None,
        usage=items.usage_object(usage) if usage else None,
    )


def _output(choice: Json, tools: Toolbox, base: str, status: str) -> list[Json]:
    """Return the items of one choice: what was thought, said and called. Only the last can have been cut off."""
    message = choice["message"] if isinstance(choice.get("message"), dict) else {}
    calls = [call for call in calls_in(message) if isinstance(call.get("function"), dict)]
    ids = [call_id(call, base, place) for place, call in enumerate(calls)]
    state = State()
    state.take(message)
    for known, call in zip(ids, calls, strict=True):
        state.take_call(known, call)
    output = []
    thought = message.get("reasoning_content") or message.get("reasoning")
    text = thought if isinstance(thought, str) else ""
    if state or text:
        output.append(items.reasoning(f"{OURS}{base}_0", text, state.pack() if state else "", COMPLETED))
    parts = _parts(message, choice)
    pictures = [shown for made in objects(message.get("images")) if (shown := items.picture(made))]
    if parts or not (output or calls or pictures):  # clients expect that there is something
        parts = parts or items.nothing(status)
        output.append(items.message(f"msg_{base}_{len(output)}", parts, COMPLETED))
    for shown in pictures:
        output.append({"id": f"ig_{base}_{len(output)}"} | shown)
    for known, call in zip(ids, calls, strict=True):
        tool = tools.called(str(call["function"].get("name") or ""))
        item_id, said = items.call_item_id(tool, base, len(output)), call["function"].get("arguments")
        output.append(items.call(tool, item_id, known, said if isinstance(said, str) and said else "{}", COMPLETED))
    output[-1]["status"] = status
    return output


def _parts(message: Json, choice: Json) -> list[Json]:
    parts = []
    if isinstance(text := message.get("content"), str) and text:
        cited = items.annotations(message.get("annotations"))
        parts.append(items.text_part(text, cited, items.logprobs(choice.get("logprobs"))))
    if isinstance(refusal := message.get("refusal"), str) and refusal:
        parts.append(items.refusal_part(refusal))
    return parts


def call_id(call: Json, base: str, place: int) -> str:
    """Return the id of a tool call, one made from the answer's id where a server gave none."""
    known = call.get("id")
    return known if isinstance(known, str) and known else f"call_{base}_{place}"[:40]
