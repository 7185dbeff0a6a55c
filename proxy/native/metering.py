"""What a call that passed is charged with: what the provider reported, or a count, or honestly nothing."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from accounts.ledger.entry import Attempt
from accounts.prices import Usage
from proxy import tokens
from proxy.native import usage as found
from proxy.native.operations import OTHER, Operation

if TYPE_CHECKING:
    from proxy.call import Call
    from proxy.native.flow import Flow

Metered = tuple[Usage | None, str]  # and where it comes from: provider, estimated or none


async def of_answer(call: "Call", attempt: Attempt, operation: Operation, raw: bytes, body: Any) -> Metered:
    """Return the usage of a whole answer; `body` is `raw` parsed, None where it is no JSON."""
    usage = found.reported(body)
    if operation.dialect is not None and isinstance(body, dict):
        usage = operation.dialect.usage(body) or usage
    return await _metered(call, attempt, operation, usage, [raw] if body is not None else [], 1.0)


async def of_stream(call: "Call", attempt: Attempt, flow: "Flow") -> Metered:
    """Return the usage of a stream, as far as it came."""
    operation = call.passing.operation if call.passing is not None else OTHER
    return await _metered(call, attempt, operation, flow.usage, flow.kept, flow.scale, flow.so_far)


async def _metered(
    call: "Call",
    attempt: Attempt,
    operation: Operation,
    usage: Usage | None,
    kept: list[bytes],
    scale: float,
    so_far: Usage | None = None,
) -> Metered:
    if operation.per_request:
        return replace(usage or Usage(), requests=1), "provider"
    if operation.free:
        attempt.cost_status = "free"
        return None, "none"
    if usage is not None:
        return usage, "provider"
    if operation.counted:
        counted = await _counted(call, attempt, kept, scale)
        if so_far is not None:  # of the prompt the provider knows best, of what came after its last word nobody does
            made = max(so_far.output, counted.output - so_far.reasoning)
            counted = replace(so_far, output=made)
        return counted, "estimated"
    if attempt.cost_status == "none" and call.entry.model_asked == call.asked.model:
        attempt.cost_status = "unpriced"  # a model was at work, and nobody says how much
    return None, "none"


async def _counted(call: "Call", attempt: Attempt, kept: list[bytes], scale: float) -> Usage:
    asked = {"messages": [{"content": found.heard(call.asked.body)}]}
    # As one chunk of OpenAI's, which is what the counter reads.
    answer = orjson.dumps({"choices": [{"delta": {"content": found.said(kept)}}]})
    event = b"data: " + answer + b"\n\n"
    return await tokens.estimate_later(asked, attempt.model, [event], call.entry.prompt_bytes, scale=scale)
