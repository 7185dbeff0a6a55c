"""What a call that passed is charged with: what the provider reported, or a count, or honestly nothing."""

from dataclasses import replace
from typing import Any

from accounts.ledger.entry import Attempt
from accounts.prices import Usage
from proxy import tokens
from proxy.call import Call
from proxy.native import background
from proxy.native import usage as found
from proxy.native.flow import Flow
from proxy.native.operations import OTHER, Operation
from proxy.providers.breaks import is_alone
from proxy.settle import HARMLESS

Metered = tuple[Usage | None, str]  # and where it comes from: provider, estimated or none


async def of_answer(call: Call, attempt: Attempt, operation: Operation, raw: bytes, body: Any) -> Metered:
    """Return the usage of a whole answer; `body` is `raw` parsed, None where it is no JSON."""
    if call.passing is not None and call.passing.method in HARMLESS:
        return None, "none"  # what it shows was counted when it was made
    if background.apart(body) or is_alone(body):
        return None, "none"
    usage = found.reported(body)
    if operation.dialect is not None and isinstance(body, dict):
        usage = operation.dialect.usage(body) or usage
    if operation.per_request:
        return _made(call, operation, usage, _images(body)), "provider"
    return await _metered(call, attempt, operation, usage, [raw] if body is not None else [], 1.0)


def _images(body: Any) -> int:
    """Return how many images an answer brings, at least one: without tokens they are billed by the piece."""
    found = body.get("data") if isinstance(body, dict) else None
    return max(len(found), 1) if isinstance(found, list) else 1


def _made(call: Call, operation: Operation, usage: Usage | None, count: int = 1) -> Usage:
    """Return the units of an operation that is billed by the call, with what else was reported."""
    if usage is None and operation.makes != "image_output" and call.passing is not None:
        return call.passing.least
    usage = usage or Usage()
    if operation.makes == "image_output":
        drawn = usage.image_output or usage.output  # older models tell no details, and make nothing else
        return replace(usage, requests=count, image_output=drawn, output=usage.output if usage.image_output else 0)
    if operation.makes == "audio_output" and not usage.audio_output:
        usage = replace(usage, audio_output=usage.output, output=0)
    return replace(usage, requests=1)


async def of_stream(call: Call, attempt: Attempt, flow: Flow) -> Metered:
    """Return the usage of a stream, as far as it came."""
    if call.passing is not None and call.passing.method in HARMLESS:
        return None, "none"
    operation = call.passing.operation if call.passing is not None else OTHER
    if flow.usage is None and operation.name == "responses" and background.announced(flow.kept):
        return None, "none"  # it goes on without its caller, and is billed when it is seen to be over
    return await _metered(call, attempt, operation, flow.usage, flow.kept, flow.scale, flow.so_far)


async def _metered(
    call: Call,
    attempt: Attempt,
    operation: Operation,
    usage: Usage | None,
    kept: list[bytes],
    scale: float,
    so_far: Usage | None = None,
) -> Metered:
    if operation.per_request:
        return _made(call, operation, usage or so_far), "provider"
    if operation.free:
        attempt.cost_status = "free"
        return None, "none"
    if usage is not None:
        return usage, "provider"
    if so_far is not None and not operation.counted:
        return so_far, "estimated"
    if operation.counted:
        counted = await _counted(call, attempt, kept, scale)
        if so_far is not None:  # of the prompt the provider knows best, of what came after its last word nobody does
            made = max(so_far.output, counted.output - so_far.reasoning)
            counted = replace(so_far, output=made)
        return counted, "estimated"
    if attempt.cost_status == "none" and call.entry.model_asked == call.asked.model:
        attempt.cost_status = "unpriced"  # a model was at work, and nobody says how much
    return None, "none"


async def _counted(call: Call, attempt: Attempt, kept: list[bytes], scale: float) -> Usage:
    return await tokens.estimate_later(call.asked.body, attempt.model, kept, call.entry.prompt_bytes, scale=scale)
