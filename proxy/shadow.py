"""Copies of calls for targets that only shadow: nobody waits for them, nobody sees their answers, somebody pays.

A copy is a request of its own in the ledger, under the team that pays for shadows. It starts when the original is
dispatched and shares nothing with it but the bytes that were asked.
"""

import asyncio
from dataclasses import replace

from accounts.ledger.ids import uuid7
from proxy import features, settle
from proxy.call import STOPPING, Call, Proceed
from proxy.errors import GatewayError, Unavailable
from proxy.gateway import Gateway
from routing.decide import takes
from routing.values import Match, Target

AT_ONCE = 16  # copies of one process


def cast(gateway: Gateway, call: Call, dispatch: Proceed) -> None:
    """Start the copies of `call` that chance, and the state of their targets, allow."""
    if call.passing is not None or call.asked.operation != "chat" or gateway.draining():
        return
    request = features.of(call)
    for target in call.match.shadows:
        drawn = 100 * gateway.draw() < (target.shadow or 0.0)
        if drawn and takes(target, request) and gateway.copies < AT_ONCE and _is_well(gateway, target):
            gateway.copies += 1
            gateway.spawn(_follow(gateway, _copy(gateway, call, target), dispatch))


def _is_well(gateway: Gateway, target: Target) -> bool:
    name, health = target.name, gateway.health
    return health.calm or not (health.barred(name) or health.resting(name, gateway.clock()))


def _copy(gateway: Gateway, call: Call, target: Target) -> Call:
    """Return a call of its own that asks `target` the same. The caller's own Authorization does not go with it."""
    asked = call.entry
    made = gateway.receive(
        gateway.shadow_payer,
        surface=asked.surface,
        request_id=uuid7(gateway.clock()),
        client_request_id=asked.id,
        size=asked.prompt_bytes,
    )
    gateway.used.pop("", None)  # no key was used
    made.dialect, made.asked, made.inner, made.carried = call.dialect, call.asked, call.inner, call.carried
    made.entry.stream, made.entry.model_asked, made.entry.route = asked.stream, asked.model_asked, asked.route
    made.entry.revision, made.entry.features = asked.revision, asked.features
    alone = replace(target, shadow=None, conditions=None)
    made.match = Match(replace(call.match.route, retries=0), call.match.model, (alone,))
    return made


async def _follow(gateway: Gateway, copy: Call, dispatch: Proceed) -> None:
    """Take the copy to its end, whatever that is; its row is settled like any other's."""
    try:
        reply = await dispatch(copy)
        if reply.stream is not None:
            while await reply.stream.next() and not reply.stream.over:
                pass
            reply.stream.close()
    except Unavailable as error:
        settle.let_go(gateway, copy, error)
    except GatewayError as error:
        if copy.entry.status == "open":
            settle.refused(gateway, copy, error)
    except asyncio.CancelledError:
        settle.ended(gateway, copy, STOPPING, 503)
        raise
    except Exception:
        settle.ended(gateway, copy, "internal_error", 500)
        raise
    finally:
        gateway.copies -= 1
